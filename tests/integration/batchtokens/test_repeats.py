"""services.issuing.repeats: one home of what makes a request the same again."""

from __future__ import annotations

from typing import Any

import pytest

from batchtokens.models import OperationToken
from batchtokens.services.issuing.repeats import issue_once, request_digests
from batchtokens_verifier.errors import IdempotencyMismatch, InvalidConstraints
from tests import mandates

pytestmark = pytest.mark.django_db(transaction=True)
ASKED: dict[str, Any] = {"sender": "trigger", "idempotency_key": "k1", "consent_id": None}


def refuse() -> OperationToken:
    raise InvalidConstraints("It is too late for this.")


def test_a_key_is_its_senders_alone() -> None:
    first = request_digests("a", **ASKED)
    other = request_digests("a", **{**ASKED, "sender": "another"})
    assert first.key != other.key
    assert first.body == other.body


@pytest.mark.parametrize("consent_id", ["", "cns_1"])
def test_a_consent_is_of_the_body(consent_id: str) -> None:
    without = request_digests("a", **ASKED)
    assert request_digests("a", **{**ASKED, "consent_id": consent_id}).body != without.body


def test_nothing_repeats_a_request_without_a_key() -> None:
    mandates.issue(mandates.savings())  # its row has no key either
    keyless = request_digests("a", **{**ASKED, "idempotency_key": ""})
    assert keyless.key is None
    with pytest.raises(InvalidConstraints):
        issue_once(keyless, issue=refuse, repeat=lambda earlier: earlier)


def test_a_request_that_would_be_refused_by_now_is_repeated() -> None:
    row = mandates.issue(mandates.savings()).row
    asked = request_digests({"n": "1"}, **ASKED)
    OperationToken.objects.update(idempotency_digest=asked.key, request_digest=asked.body)

    assert issue_once(asked, issue=refuse, repeat=lambda earlier: earlier) == row


def test_another_body_is_no_repetition() -> None:
    row = mandates.issue(mandates.savings()).row
    row.request_digest = request_digests({"n": "1"}, **ASKED).body
    with pytest.raises(IdempotencyMismatch):
        request_digests({"n": "2"}, **ASKED).check_same(row)
