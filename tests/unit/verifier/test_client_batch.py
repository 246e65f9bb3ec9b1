"""Many redemptions in one call: each line has its own answer, and none is mistaken for another."""

import json
from typing import Any

import httpx
import pytest

from batchtokens_verifier.client import RedemptionRequest
from batchtokens_verifier.errors import AuthorityUnavailable
from tests.unit.verifier.authority import PretendAuthority
from tests.unit.verifier.minting import OPERATION
from tests.unit.verifier.test_client import ANSWER, FORM, client, redeem


@pytest.fixture(params=["threads", "event loop"], autouse=True)
def _each_form(request: pytest.FixtureRequest) -> None:
    FORM[0] = request.param


def asked(count: int) -> list[RedemptionRequest]:
    return [
        RedemptionRequest("a.b.c", OPERATION, f"key-{i}", occurrence="o0") for i in range(count)
    ]


def ndjson(*lines: Any) -> httpx.Response:
    return httpx.Response(200, content="".join(json.dumps(line) + "\n" for line in lines))


def test_batch_sends_a_line_for_each_redemption() -> None:
    authority = PretendAuthority(ndjson())

    client(authority).redeem_batch(asked(2))

    request = authority.requests[0]
    assert request.url.path == "/api/v1/redemptions/batch"
    assert request.headers["Content-Type"] == "application/x-ndjson"
    assert [json.loads(line) for line in request.content.splitlines()] == [
        {
            "idempotency_key": f"key-{i}",
            "operation_token": "a.b.c",
            "operation": OPERATION,
            "amount": OPERATION["amount"],
            "occurrence": "o0",
        }
        for i in range(2)
    ]


def test_each_line_of_a_batch_has_its_own_verdict() -> None:
    refused = {"code": "slot_already_redeemed", "status": 409, "redemption_id": "rdm_b"}
    answer = ndjson(ANSWER, refused, {"code": "limit_exceeded", "status": 403}, {"status": 503})

    found = client(PretendAuthority(answer)).redeem_batch(asked(4))

    assert found[0].redemption_id == "rdm_a"
    assert [error.code for error in found[1:]] == [
        "slot_already_redeemed",
        "limit_exceeded",
        "authority_unavailable",
    ]
    assert found[1].redemption_id == "rdm_b"


@pytest.mark.parametrize(
    "answer",
    [
        ndjson(ANSWER),
        ndjson(ANSWER, ANSWER, ANSWER),
        ndjson(ANSWER | {"idempotency_key": "key-1"}, ANSWER | {"idempotency_key": "key-0"}),
        ndjson({"redemption_id": "rdm_a", "receipt": "a.b.c"}, []),
        httpx.Response(200, content=b"<html>\n<body>\n"),
        httpx.Response(200),
    ],
)
def test_batch_that_cannot_be_told_apart_is_asked_for_again(answer: httpx.Response) -> None:
    found = client(PretendAuthority(answer)).redeem_batch(asked(2))

    assert [error.code for error in found] == ["authority_unavailable"] * 2


@pytest.mark.parametrize("batch", [[], asked(5001), asked(1) * 2])
def test_batch_that_cannot_be_sent_is_a_mistake_of_the_executor(batch: Any) -> None:
    with pytest.raises(ValueError, match=r"batch"):
        client(PretendAuthority(ndjson())).redeem_batch(batch)


@pytest.mark.parametrize("amount", [{"amount": "50.01", "currency": "USD"}, None])
def test_permission_for_another_amount_is_none(amount: Any) -> None:
    authority = PretendAuthority(httpx.Response(201, json=ANSWER | {"amount": amount}))

    with pytest.raises(AuthorityUnavailable):
        redeem(authority)
