"""The published vectors: current, many, and what the verifier says about each of them."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import time_machine

from batchtokens_verifier.checkpoints import verify_checkpoint, verify_entry_included
from batchtokens_verifier.deliveries import verify_delivery
from batchtokens_verifier.errors import ProblemError
from batchtokens_verifier.jwks import JwksCache
from batchtokens_verifier.jws import KeySet
from batchtokens_verifier.policy import ExecutorPolicy, authenticate_access_token
from batchtokens_verifier.receipts import verify_receipt
from batchtokens_verifier.status_cache import StatusListCache
from batchtokens_verifier.verifier import Verifier
from tests.conformance.files import FILES, as_written
from tests.conformance.vectors import FOLDER

Document = dict[str, Any]
Verdict = tuple[str | None, str | None]  # code and assurance


def published(name: str) -> Document:
    document: Document = json.loads(Path(FOLDER / f"{name}.json").read_text("utf-8"))
    return document


def judge_operation(document: Document, vector: Document) -> str:
    """Return the assurance of the verdict; the source answers with the vector's own list."""

    def source(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/.well-known/jwks.json":
            return httpx.Response(200, json=document["jwks"])
        found = "status_list" in vector
        return httpx.Response(200 if found else 404, text=vector.get("status_list", ""))

    http = httpx.Client(transport=httpx.MockTransport(source))
    keys = JwksCache(f"{document['issuer']}/.well-known/jwks.json", http=http)
    asked = vector.get("policy", {}).get("require_status", False)
    lists = asked or "status_list" in vector
    verifier = Verifier(
        ExecutorPolicy(
            document["issuer"],
            document["audience"],
            frozenset(document["operation_types"]),
            require_status=asked,
        ),
        keys,
        StatusListCache(document["issuer"], keys=keys, http=http) if lists else None,
    )
    operation = vector.get("operation")
    return verifier.verify(vector["token"], now=moment(vector), operation=operation).assurance


def judge_access(document: Document, vector: Document) -> None:
    parties = {"issuer": document["issuer"], "audience": document["audience"]}
    authenticate_access_token(
        vector["token"], keys=keys_of(document), now=moment(vector), **parties
    )


def judge_receipt(document: Document, vector: Document) -> None:
    parties = {"issuer": document["issuer"], "audience": document["audience"]}
    verify_receipt(vector["token"], keys=keys_of(document), **parties)


def judge_delivery(document: Document, vector: Document) -> None:
    with time_machine.travel(moment(vector), tick=False):
        verify_delivery(vector["headers"], vector["body"].encode(), secret=document["secret"])


def judge_checkpoint(document: Document, vector: Document) -> None:
    found = verify_checkpoint(vector["token"], keys=keys_of(document), issuer=document["issuer"])
    if "entry" in vector:
        place = {"index": vector["index"], "proof": vector["proof"]}
        verify_entry_included(vector["entry"].encode(), head=found.head, **place)


JUDGES: dict[str, Callable[[Document, Document], str | None]] = {
    "operation-tokens": judge_operation,
    "status-lists": judge_operation,
    "access-tokens": judge_access,
    "receipts": judge_receipt,
    "deliveries": judge_delivery,
    "checkpoints": judge_checkpoint,
}


def moment(vector: Document) -> datetime:
    return datetime.fromisoformat(vector["now"])


def keys_of(document: Document) -> KeySet:
    return KeySet.from_jwks(document["jwks"])


def verdict(name: str, document: Document, vector: Document) -> Verdict:
    try:
        return None, JUDGES[name](document, vector)
    except ProblemError as refusal:
        return refusal.code, None


@pytest.mark.parametrize("name", FILES)
def test_verifier_gives_each_published_verdict(name: str) -> None:
    document = published(name)
    found = {one["name"]: verdict(name, document, one) for one in document["vectors"]}
    expected = {one["name"]: (one["code"], one.get("assurance")) for one in document["vectors"]}
    if name == "operation-tokens":
        expected = {
            each: (code, None if code else "signature, constraints")
            for each, (code, _) in expected.items()
        }

    assert found == expected


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
