"""The authority gives each published operation token the verdict that it is published with."""

import json
from datetime import datetime
from typing import Any

import pytest
from django.conf import settings

from accounts.tokens import backend
from batchtokens.services.redemption import redeem
from batchtokens_verifier.jws import KeySet
from tests.conformance.vectors import FOLDER
from tests.integration.batchtokens import test_agreement as agreement

DOCUMENT: dict[str, Any] = json.loads((FOLDER / "operation-tokens.json").read_text("utf-8"))
KEYS = KeySet.from_jwks(DOCUMENT["jwks"])
# The authority has but one clock, and issued nothing in its own future: it allows for no other
# clock. Which operation types are taken is an executor's own policy.
APART = {
    "-11 s from its issue": "outside_validity",
    "-10 s from its issue": "outside_validity",
    "-1 s from its issue": "outside_validity",
    "-10 s from valid_from": "outside_validity",
    "details: an unknown operation type": "ok",
}


class Ring:
    """The published keys, in the place of the installation's own."""

    def verification_keys(self) -> KeySet:
        return KEYS


@pytest.fixture(autouse=True)
def _published_keys(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    for module in (redeem, backend):
        monkeypatch.setattr(module, "current_key_ring", lambda wanted="": Ring())
    settings.ISSUER_URL, settings.ALLOW_SECONDLY_SCHEDULES = DOCUMENT["issuer"], False


def expected(vector: dict[str, Any]) -> str:
    return APART.get(vector["name"], vector["code"] or "ok")


def test_server_gives_each_published_verdict() -> None:
    told = {
        vector["name"]: agreement.server(
            vector["token"], datetime.fromisoformat(vector["now"]), vector.get("operation")
        )
        for vector in DOCUMENT["vectors"]
    }

    assert DOCUMENT["issuer"] == settings.ISSUER_URL
    assert told == {vector["name"]: expected(vector) for vector in DOCUMENT["vectors"]}


def test_introspection_takes_no_token_that_is_none() -> None:
    genuine = {
        vector["name"]
        for vector in DOCUMENT["vectors"]
        if agreement.introspection(vector["token"]) == "ok"
    }

    right = {v["name"] for v in DOCUMENT["vectors"] if v["code"] != "operation_token_not_valid"}
    # What the claims alone do not decide here: introspection looks for the token's very bytes among
    # those that were issued, to this issuer's name and for the client that asks.
    assert genuine - right == {
        "-11 s from its issue",
        "claim: aud is another executor",
        "claim: aud in capitals",
        "claim: aud with more behind it",
        "claim: aud without its slash",
        "claim: another issuer",
        "claim: issuer with a slash",
        "details: an unknown operation type",
    }
    assert right <= genuine
