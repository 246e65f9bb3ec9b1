"""The published vectors: current, many, and what the verifier says about each of them."""

import json
from typing import Any

import pytest

from tests.conformance.files import FILES, as_written
from tests.conformance.judge import wrong
from tests.conformance.vectors import FOLDER


def published(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return document


@pytest.mark.parametrize("name", FILES)
def test_verifier_gives_each_published_verdict(name: str) -> None:
    assert wrong(name, published(name)) == {}


@pytest.mark.parametrize("name", FILES)
def test_vectors_are_as_they_would_be_written(name: str) -> None:
    assert (FOLDER / f"{name}.json").read_text("utf-8") == as_written(name), "run make vectors"


@pytest.mark.parametrize("name", FILES)
def test_vectors_have_names_of_their_own(name: str) -> None:
    names = [one["name"] for one in published(name)["vectors"]]

    assert len(set(names)) == len(names)


def test_vectors_cover_every_refusal_that_needs_no_ledger() -> None:
    codes = {one["code"] for name in FILES for one in published(name)["vectors"]}

    assert codes == {
        None,
        "delivery_not_valid",
        "operation_held",
        "operation_mismatch",
        "operation_revoked",
        "operation_token_not_valid",
        "outside_validity",
        "proof_not_valid",
        "status_unavailable",
        "token_not_valid",
    }
