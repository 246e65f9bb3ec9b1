"""The executor's client: what it sends, what it takes for an answer, what it raises."""

import asyncio
import base64
import gzip
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from batchtokens_verifier.async_client import AsyncExecutorClient
from batchtokens_verifier.client import (
    ExecutorClient,
    Redemption,
    RedemptionState,
)
from batchtokens_verifier.constraints import Amount
from batchtokens_verifier.errors import (
    AuthorityError,
    AuthorityUnavailable,
    ProblemError,
    SlotAlreadyRedeemed,
    VerificationError,
)
from tests.unit.verifier.authority import PretendAuthority
from tests.unit.verifier.minting import OPERATION

ANSWER = {
    "redemption_id": "rdm_a",
    "slot": "o0",
    "status": "reserved",
    "attempt": 1,
    "amount": {"amount": "50.00", "currency": "USD"},
    "remaining": {"period": None, "total": None, "occurrences": 11},
    "proceed": True,
    "receipt": "the.receipt.itself",
    "lease_expires_at": "2026-12-01T08:05:00.250000Z",
}


FORM = ["threads"]  # whose client the tests below speak to


@pytest.fixture(params=["threads", "event loop"], autouse=True)
def _form(request: pytest.FixtureRequest) -> None:
    FORM[0] = request.param


class Waiting:
    """An asynchronous client whose calls are waited for."""

    def __init__(self, client: AsyncExecutorClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: asyncio.run(getattr(self._client, name)(*args, **kwargs))


def client(authority: PretendAuthority, **options: Any) -> Any:
    parties = ("https://id.example", "savings", "the-secret")
    if FORM[0] == "threads":
        return ExecutorClient(*parties, http=authority.http, **options)
    return Waiting(AsyncExecutorClient(*parties, http=authority.async_http, **options))


def redeem(authority: PretendAuthority, **changes: Any) -> Redemption:
    arguments: dict[str, Any] = {
        "operation_token": "a.b.c",
        "operation": OPERATION,
        "amount": None,
        "occurrence": "o0",
        "idempotency_key": "op_a.o0.1",
    }
    redemption: Redemption = client(authority).redeem(**arguments | changes)
    return redemption


def problem(status: int, code: str, **members: Any) -> httpx.Response:
    return httpx.Response(status, json={"code": code, "detail": "The detail."} | members)


def test_redeem_sends_token_operation_amount_and_occurrence() -> None:
    authority = PretendAuthority(httpx.Response(201, json=ANSWER))

    redeem(authority)

    request = authority.requests[0]
    assert str(request.url) == "https://id.example/api/v1/redemptions"
    assert request.headers["Idempotency-Key"] == "op_a.o0.1"
    assert base64.b64decode(request.headers["Authorization"].split()[1]) == b"savings:the-secret"
    assert authority.sent() == {
        "operation_token": "a.b.c",
        "operation": OPERATION,
        "amount": OPERATION["amount"],
        "occurrence": "o0",
    }


def test_redeem_names_a_variable_amount() -> None:
    cent = {"amount": "0.01", "currency": "USD"}
    authority = PretendAuthority(httpx.Response(201, json=ANSWER | {"amount": cent}))

    redeem(authority, operation={"action": "a"}, amount=Amount(1, "USD"), occurrence=None)

    assert authority.sent()["amount"] == cent
    assert "occurrence" not in authority.sent()


@pytest.mark.parametrize("status", [200, 201])
def test_answer_is_a_redemption(status: int) -> None:
    redemption = redeem(PretendAuthority(httpx.Response(status, json=ANSWER)))

    assert redemption.amount == Amount(5000, "USD")
    assert redemption.lease_expires_at == datetime(2026, 12, 1, 8, 5, 0, 250000, tzinfo=UTC)
    assert redemption.proceed is True
    assert "receipt.itself" not in repr(redemption)


@pytest.mark.parametrize("proceed", [False, None, 1, "true", []])
def test_only_true_permits(proceed: object) -> None:
    answer = httpx.Response(200, json=ANSWER | {"proceed": proceed})

    assert redeem(PretendAuthority(answer)).proceed is False


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, "operation_token_not_valid"),
        (403, "operation_mismatch"),
        (403, "outside_validity"),
        (403, "operation_held"),
        (403, "operation_revoked"),
        (403, "executor_stopped"),
        (403, "limit_exceeded"),
        (403, "unresolved_constraint"),
        (409, "slot_already_redeemed"),
        (409, "lease_lost"),
        (422, "idempotency_mismatch"),
    ],
)
def test_refusal_is_raised_by_its_code(status: int, code: str) -> None:
    with pytest.raises(VerificationError) as refusal:
        redeem(PretendAuthority(problem(status, code)))

    assert (refusal.value.code, refusal.value.status) == (code, status)


def test_taken_slot_tells_its_redemption() -> None:
    answer = problem(409, "slot_already_redeemed", redemption_id="rdm_a")

    with pytest.raises(SlotAlreadyRedeemed) as refusal:
        redeem(PretendAuthority(answer))

    assert refusal.value.redemption_id == "rdm_a"
    assert refusal.value.members() == {"redemption_id": "rdm_a"}


@pytest.mark.parametrize(
    "answer",
    [
        problem(401, "invalid_client"),
        problem(418, "teapot"),
        httpx.Response(400, content=b"<html>"),
        httpx.Response(404, json=[]),
        httpx.Response(302, headers={"Location": "https://evil.example/"}),
    ],
)
def test_unknown_refusal_keeps_its_status(answer: httpx.Response) -> None:
    with pytest.raises(AuthorityError) as refusal:
        redeem(PretendAuthority(answer))

    assert refusal.value.remote_status == answer.status_code


INCOMPLETE = [
    {name: value for name, value in ANSWER.items() if name != missing}
    for missing in ("redemption_id", "amount", "proceed", "receipt", "lease_expires_at")
]


@pytest.mark.parametrize(
    "reply",
    [
        httpx.ConnectError("away"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("cut"),
        httpx.Response(429),
        httpx.Response(500),
        httpx.Response(503, json={"code": "limit_exceeded"}),
        httpx.Response(201, content=b"<html>"),
        httpx.Response(201, json=[]),
        httpx.Response(201, content=b" " * 300_000),
        httpx.Response(201, headers={"Content-Encoding": "gzip"}, content=gzip.compress(b"{}")),
        httpx.Response(201, json=ANSWER | {"lease_expires_at": "2026-12-01T08:05:00"}),
        httpx.Response(201, json=ANSWER | {"amount": "50.00"}),
        *[httpx.Response(201, json=answer) for answer in INCOMPLETE],
    ],
)
def test_no_usable_answer_means_try_again(reply: Any) -> None:
    with pytest.raises(AuthorityUnavailable):
        redeem(PretendAuthority(reply))


def test_settle_sends_attempt_and_reference() -> None:
    authority = PretendAuthority(httpx.Response(204))

    client(authority).settle("rdm_a", attempt=2, reference="transfer-9")

    assert authority.requests[0].url.path == "/api/v1/redemptions/rdm_a/settle"
    assert authority.sent() == {"attempt": 2, "reference": "transfer-9"}


def test_release_sends_attempt_and_reason() -> None:
    authority = PretendAuthority(httpx.Response(200, json={"status": "released"}))

    client(authority).release("rdm_a", attempt=1, reason="account closed")

    assert authority.requests[0].url.path == "/api/v1/redemptions/rdm_a/release"
    assert authority.sent() == {"attempt": 1, "reason": "account closed"}


def test_find_asks_for_the_status_and_the_attempt() -> None:
    authority = PretendAuthority(httpx.Response(200, json=ANSWER | {"status": "settled"}))

    found = client(authority).find("rdm_a")

    assert found == RedemptionState("settled", 1)
    request = authority.requests[0]
    assert (request.method, request.url.path) == ("GET", "/api/v1/redemptions/rdm_a")


@pytest.mark.parametrize("answer", [{}, {"status": "settled"}, {"status": "x", "attempt": "one"}])
def test_find_takes_no_half_answer(answer: dict[str, Any]) -> None:
    with pytest.raises(AuthorityUnavailable):
        client(PretendAuthority(httpx.Response(200, json=answer))).find("rdm_a")


def test_late_settle_learns_that_it_lost_the_lease() -> None:
    with pytest.raises(ProblemError) as refusal:
        client(PretendAuthority(problem(409, "lease_lost"))).settle("rdm_a", attempt=1)

    assert refusal.value.code == "lease_lost"


def test_redemption_id_cannot_leave_its_path() -> None:
    authority = PretendAuthority(httpx.Response(204))

    client(authority).settle("../../x?y", attempt=1)

    assert authority.requests[0].url.raw_path == (b"/api/v1/redemptions/..%2F..%2Fx%3Fy/settle")


def test_secret_never_travels_in_the_clear() -> None:
    with pytest.raises(ValueError, match="https"):
        ExecutorClient("http://id.example", "savings", "the-secret")


def test_own_connections_are_closed() -> None:
    with ExecutorClient("https://id.example", "savings", "the-secret") as own:
        http = own._http

    assert http.is_closed


def test_callers_connections_stay_open() -> None:
    http = PretendAuthority(httpx.Response(204)).http

    with ExecutorClient("https://id.example", "savings", "the-secret", http=http):
        pass

    assert not http.is_closed


def test_asynchronous_connections_are_closed_like_the_others() -> None:
    async def use() -> tuple[httpx.AsyncClient, httpx.AsyncClient]:
        given = PretendAuthority(httpx.Response(204)).async_http
        async with AsyncExecutorClient("https://id.example", "a", "b") as own:
            http = own._http
        async with AsyncExecutorClient("https://id.example", "a", "b", http=given):
            pass
        return http, given

    own, given = asyncio.run(use())

    assert own.is_closed
    assert not given.is_closed


def test_redemption_names_its_assurance() -> None:
    assert redeem(PretendAuthority(httpx.Response(201, json=ANSWER))).assurance == "redeemed"


def test_ledger_behind_is_known_and_still_means_try_again() -> None:
    with pytest.raises(AuthorityUnavailable) as refusal:
        redeem(PretendAuthority(problem(503, "ledger_behind")))

    assert refusal.value.code == "ledger_behind"
