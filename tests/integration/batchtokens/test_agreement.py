"""Server, offline verifier and introspection agree, on published and on drawn tokens (I9).

What only one of them can know is said where it is left out: the server has no clock of its own
besides the database's, and offline nobody knows what was issued or used.
"""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from random import Random
from typing import Any

import pytest
from django.conf import settings

from accounts.models import ServiceClient
from accounts.tokens import backend
from batchtokens.models import LedgerEntry, Redemption
from batchtokens.services.mandates.introspect import introspect_operation_token
from batchtokens.services.redemption import redeem
from batchtokens.services.redemption.redeem import verify_request
from batchtokens.services.redemption.reserve import RedemptionRequest
from batchtokens_verifier.claims import CLOCK_SKEW_SECONDS, parse_operation_token
from batchtokens_verifier.errors import OperationTokenNotValid, VerificationError
from batchtokens_verifier.jws import KeySet, Purpose
from batchtokens_verifier.policy import (
    ExecutorPolicy,
    check_operation_copy,
    check_validity,
    verify_operation_token,
)
from tests import mandates
from tests.drawn_tokens import DrawnToken, drawn_tokens
from tests.unit.verifier.minting import AUDIENCE, ISSUER, KEYS
from tests.unit.verifier.vectors import load

SEED = 20261122
MANY = 10_000
DOCUMENT = load("tokens")


class PublishedRing:
    """The published keys, in the place of the installation's own."""

    def verification_keys(self) -> KeySet:
        return KEYS


@pytest.fixture(autouse=True)
def _published_keys(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    for module in (redeem, backend):
        monkeypatch.setattr(module, "current_key_ring", lambda wanted="": PublishedRing())
    settings.ISSUER_URL, settings.ALLOW_SECONDLY_SCHEDULES = ISSUER, False


def executor() -> ServiceClient:
    return ServiceClient(client_id="savings", audience=AUDIENCE)


def policy() -> ExecutorPolicy:
    types = frozenset(DOCUMENT["operation_types"])
    return ExecutorPolicy(ISSUER, AUDIENCE, types, allow_secondly=settings.ALLOW_SECONDLY_SCHEDULES)


def offline(token: str, now: datetime, operation: Any = None) -> str:
    """Return the offline verifier's code."""
    try:
        verify_operation_token(token, keys=KEYS, policy=policy(), now=now, operation=operation)
    except VerificationError as refusal:
        return refusal.code
    return "ok"


def server(token: str, now: datetime, operation: Any = None) -> str:
    """Return the redemption's code, as far as the token, its copy and the clock decide."""
    verified = verify_request(executor(), RedemptionRequest(token, operation))
    if isinstance(verified, VerificationError):
        return verified.code
    try:
        if operation is not None:
            check_operation_copy(verified, operation)
        check_validity(verified, now)
    except VerificationError as refusal:
        return refusal.code
    return "ok"


def introspection(token: str) -> str:
    """Return the introspection's code, as far as the token alone decides."""
    try:
        claims = backend.verify_token(token, purpose=Purpose.OPERATION)
        parse_operation_token(claims, allow_secondly=settings.ALLOW_SECONDLY_SCHEDULES)
    except VerificationError:
        return OperationTokenNotValid.code  # all that it would say is "inactive"
    return "ok"


def test_they_agree_on_every_published_token() -> None:
    # Dated up to ten seconds ahead of a verifier's clock; the authority has but one clock, and
    # issued nothing in its own future. Another type is a policy of the executor's.
    apart = {
        "ten seconds before valid_from": "outside_validity",
        "issued 11 s ahead": "ok",
        "an unknown operation type": "ok",
    }
    for vector in DOCUMENT["tokens"]:
        now, copy = datetime.fromisoformat(vector["now"]), vector.get("operation")
        told = server(vector["token"], now, copy)
        if vector["name"] in apart:
            assert (vector["name"], told) == (vector["name"], apart[vector["name"]])
            continue
        codes = {"offline": offline(vector["token"], now, copy), "server": told}
        assert (vector["name"], codes) == (
            vector["name"],
            {"offline": vector["code"], "server": vector["code"]},
        )
        if vector["code"] != OperationTokenNotValid.code:
            assert introspection(vector["token"]) == "ok"


@pytest.mark.slow
def test_they_agree_on_10000_drawn_tokens() -> None:
    random, seen = Random(SEED), set[tuple[str, bool]]()

    for drawn in islice(drawn_tokens(random), MANY):
        now = drawn.moments(random)
        codes = (offline(drawn.token, now), server(drawn.token, now), introspection(drawn.token))
        # Whose a token is, introspection asks the issued row, and not the claim.
        compared = slice(2 if drawn.what == "iss" else 3)
        assert codes[compared] == expected(drawn, now)[compared], (drawn.what, now, drawn.token)
        seen.add((drawn.what, codes[0] == "ok"))

    print(f"seed {SEED}: {MANY} tokens, {len(seen)} kinds of them and of verdicts")


def expected(drawn: DrawnToken, now: datetime) -> tuple[str, str, str]:
    """Return the codes of the verifier, the server and introspection, from how it was drawn."""
    not_valid = OperationTokenNotValid.code
    if not drawn.genuine:
        return not_valid, not_valid, not_valid
    ahead = drawn.iat > now.timestamp() + CLOCK_SKEW_SECONDS
    outside = "outside_validity"
    by_server = "ok" if drawn.valid_from <= now.timestamp() < drawn.valid_to else outside
    by_verifier = "ok" if drawn.passes_at(now) else outside
    return not_valid if ahead else by_verifier, by_server, "ok"


@pytest.mark.django_db
@pytest.mark.slow
def test_what_was_never_issued_is_nothing_to_the_server() -> None:
    """Offline these pass, and are called no more than that; consumption is unknown there."""
    world, random = mandates.savings(), Random(SEED + 1)
    entries = LedgerEntry.objects.count()

    for number, drawn in enumerate(islice(drawn_tokens(random), 200)):
        request = RedemptionRequest(drawn.token, mandates.OPERATION)
        with pytest.raises(OperationTokenNotValid):
            redeem.redeem_operation_token(
                by=world.redeemer, request=request, idempotency_key=f"run-{number}"
            )
        answer = introspect_operation_token(by=world.redeemer, token=drawn.token)
        assert answer == {"active": False}

    assert not Redemption.objects.exists()
    assert LedgerEntry.objects.count() == entries
