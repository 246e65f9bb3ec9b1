"""`POST /api/v1/redemptions/batch` under attack: what comes between, mixed callers, bent bodies."""

from __future__ import annotations

import base64
import gzip
import io
import json
import socket
from dataclasses import replace
from typing import Any

import httpx
import pytest
from django.conf import settings

from accounts.models import SecurityEvent
from batchtokens.api import ndjson
from batchtokens.models import HoldKind, OperationToken, Redemption, RedemptionAttempt
from batchtokens.services.issuing.exchange import exchange_access_token
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.mandates.hold import hold_operation, resume_operation
from batchtokens.services.operation_types.create_operation_type import create_operation_type
from batchtokens.services.redemption.set_caps import Caps, set_caps
from tests import factories, mandates
from tests.batches import BATCH, NDJSON, answers, line, send, verdicts, whole_ledger
from tests.rest import REDEMPTIONS, Caller, code_of, job, machine
from tests.servers import running_server

pytestmark = pytest.mark.django_db

RESERVED, MISMATCH = (201, "reserved"), (422, "idempotency_mismatch")
NOT_VALID = (403, "operation_token_not_valid")


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings(max_live_mandates=1000)


@pytest.fixture
def executor(world: mandates.Savings) -> Caller:
    return machine(world.executor)


def close(executor: Caller, told: Any, how: str, **note: str) -> None:
    path = f"{REDEMPTIONS}/{told['redemption_id']}/{how}"
    assert executor.post(path, {"attempt": told["attempt"]} | note).status_code == 200


def issue_for_another(world: mandates.Savings) -> Issued:
    """Let the type have another executor from now on; return a token for that one."""
    factories.service_client("other", scopes=["redeem"], audience="https://o.test/")
    create_operation_type(definition=mandates.savings_definition(executor="other"))
    request = replace(mandates.exchange_request(world), target="https://o.test/")
    return exchange_access_token(by=world.trigger.client, request=request)


def post(executor: Caller, sent: bytes, arrives: io.BytesIO) -> Any:
    """Announce a body of which something else arrives."""
    environ: dict[str, Any] = {"wsgi.input": arrives}
    return executor.client.post(BATCH, sent, NDJSON, headers=dict(executor.headers), **environ)


class TestBetweenTwoBatches:
    """What was closed between two identical batches is told, permits nothing and stays as it is."""

    def test_a_settle(self, world: mandates.Savings, executor: Caller) -> None:
        lines = [line(mandates.issue(world), f"key-{n}") for n in range(3)]
        first = answers(send(executor, *lines))
        close(executor, first[1], "settle", reference="tx-1")

        again = answers(send(executor, *lines))

        assert verdicts(again) == [(200, "reserved"), (200, "settled"), (200, "reserved")]
        assert [each["proceed"] for each in again] == [True, False, True]
        assert [each["receipt"] for each in again] == [each["receipt"] for each in first]
        assert Redemption.objects.get(status="settled").reference == "tx-1"
        assert whole_ledger()

    def test_a_release(self, world: mandates.Savings, executor: Caller) -> None:
        issued = mandates.issue(world)
        (first,) = answers(send(executor, line(issued, "key")))
        close(executor, first, "release", reason="no money")

        same, other = answers(send(executor, line(issued, "key"), line(issued, "anew")))

        assert (same["http_status"], same["proceed"]) == (200, False)
        assert same["receipt"] == first["receipt"]
        assert (other["http_status"], other["attempt"], other["proceed"]) == (200, 2, True)
        assert whole_ledger()


class TestSomebodyElses:
    """A batch opens no door to another executor's tokens or keys."""

    def test_a_token_of_another_executor(self, world: mandates.Savings, executor: Caller) -> None:
        first, last = mandates.issue(world), mandates.issue(world)
        theirs = issue_for_another(world)

        read = answers(send(executor, line(first, "1"), line(theirs, "2"), line(last, "3")))

        assert verdicts(read) == [RESERVED, NOT_VALID, RESERVED]
        assert not Redemption.objects.filter(operation_token=theirs.row).exists()
        assert SecurityEvent.objects.get(outcome="refused").client == world.redeemer

    def test_another_executors_key_is_not_mine(
        self, world: mandates.Savings, executor: Caller
    ) -> None:
        issued = mandates.issue(world)
        answers(send(executor, line(issued, "shared")))
        other = factories.service_client("other", scopes=["redeem"], audience="https://o.test/")

        (read,) = answers(send(machine(other), line(issued, "shared")))

        assert (read["http_status"], read["code"]) == NOT_VALID
        assert "receipt" not in read


class TestOneKeyTwice:
    """A key has one body, wherever in a batch, or in which chunk, it is met again."""

    def test_with_the_same_body(self, world: mandates.Savings, executor: Caller) -> None:
        asked = line(mandates.issue(world), "key")

        first, again = answers(send(executor, asked, asked))

        assert verdicts([first, again]) == [RESERVED, (200, "reserved")]
        assert again["receipt"] == first["receipt"]
        assert RedemptionAttempt.objects.count() == 1

    def test_with_another_token(self, world: mandates.Savings, executor: Caller) -> None:
        one, other = mandates.issue(world), mandates.issue(world)
        forged = line(one, "key", operation_token=one.token[:-4] + "AAAA")

        read = answers(send(executor, line(one, "key"), line(other, "key"), forged))

        assert verdicts(read) == [RESERVED, MISMATCH, MISMATCH]
        assert Redemption.objects.get().operation_token == one.row
        assert whole_ledger()

    def test_where_the_chunk_is_redeemed_line_by_line(
        self, world: mandates.Savings, executor: Caller
    ) -> None:
        set_caps(executor=world.redeemer, caps=Caps(max_count_day=1), reason="test")
        one, other = mandates.issue(world), mandates.issue(world)
        lines = [line(one, "key"), line(one, "key"), line(other, "key"), line(other, "next")]

        read = answers(send(executor, *lines))

        stopped = (403, "executor_stopped")
        assert verdicts(read) == [RESERVED, (200, "reserved"), MISMATCH, stopped]

    def test_with_a_token_that_is_in_no_row(
        self, world: mandates.Savings, executor: Caller
    ) -> None:
        one, unknown = mandates.issue(world), mandates.issue(world)
        OperationToken.objects.filter(pk=unknown.row.pk).update(token_hash="of another")

        read = answers(send(executor, line(one, "key"), line(unknown, "key")))

        assert verdicts(read) == [RESERVED, MISMATCH]

    def test_a_refusal_uses_up_no_key(self, world: mandates.Savings, executor: Caller) -> None:
        held, free = mandates.issue(world), mandates.issue(world)
        hold_operation(operation_id=held.row.pk, by=HoldKind.USER)
        assert verdicts(answers(send(executor, line(held, "1"), line(free, "1")))) == [
            (403, "operation_held"),
            RESERVED,
        ]
        resume_operation(operation_id=held.row.pk, by=HoldKind.USER)

        assert verdicts(answers(send(executor, line(held, "1")))) == [MISMATCH]


class TestBentBodies:
    """A body is taken as it is meant, or refused; it is never guessed."""

    @pytest.mark.parametrize("coding", ["gzip", "deflate, gzip", "br", "x-nonsense"])
    def test_a_compressed_body_is_refused_whole(
        self, world: mandates.Savings, executor: Caller, coding: str
    ) -> None:
        issued = mandates.issue(world)
        content = gzip.compress(json.dumps(line(issued, "key")).encode())

        for path, kind in ((BATCH, NDJSON), (REDEMPTIONS, "application/json")):
            headers = {**executor.headers, "Content-Encoding": coding, "Idempotency-Key": "key"}
            answer = executor.client.post(path, content, kind, headers=headers)
            assert code_of(answer) == (415, "unsupported_media_type")
        assert not Redemption.objects.exists()

    def test_identity_is_no_coding(self, world: mandates.Savings, executor: Caller) -> None:
        asked = line(mandates.issue(world), "key")
        answer = send(executor, asked, **{"Content-Encoding": "identity"})
        assert verdicts(answers(answer)) == [RESERVED]

    def test_a_body_that_was_cut_off_redeems_none_of_its_lines(
        self, world: mandates.Savings, executor: Caller
    ) -> None:
        """Whoever sent it never learns what became of the lines that arrived."""
        whole = b"".join(
            json.dumps(line(mandates.issue(world), f"{n}")).encode() + b"\n" for n in range(2)
        )
        arrived = io.BytesIO(whole[: whole.index(b"\n") + 1])

        answer = post(executor, whole, arrived)

        assert code_of(answer) == (400, "invalid")
        assert not Redemption.objects.exists()

    def test_line_ends_of_another_system_are_blank_space(
        self, world: mandates.Savings, executor: Caller
    ) -> None:
        lines = [json.dumps(line(mandates.issue(world), f"{n}")).encode() for n in range(2)]
        body = b"\r\n".join([*lines, b"", b"  ", b""])

        read = answers(send(executor, body))

        assert verdicts(read) == [RESERVED] * 2

    @pytest.mark.parametrize(
        "bent",
        [b"\0", b'{"a":"\0"}', b"\xef\xbb\xbf{}", "{}".encode("utf-16"), b"{}{}", b"{}\x1e{}"],
        ids=["NUL", "NUL within", "BOM", "UTF-16", "two values", "RFC 7464"],
    )
    def test_a_bent_line_is_invalid_alone(
        self, world: mandates.Savings, executor: Caller, bent: bytes
    ) -> None:
        good = line(mandates.issue(world), "good")
        read = answers(send(executor, bent, good))
        assert [each["http_status"] for each in read] == [400, 201]

    def test_an_array_over_many_lines_is_no_batch(
        self, world: mandates.Savings, executor: Caller
    ) -> None:
        body = json.dumps([line(mandates.issue(world), "key")], indent=1).encode()
        read = answers(send(executor, body))
        assert {each["http_status"] for each in read} == {400}
        assert not Redemption.objects.exists()

    def test_blank_lines_are_lines(self, executor: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ndjson, "MAX_LINES", 3)
        assert len(answers(send(executor, b"\n\n{}\n\n\n"))) == 1
        assert code_of(send(executor, b"\n\n\n{}")) == (413, "batch_too_large")

    def test_more_is_refused_before_it_is_read(
        self, executor: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ndjson, "MAX_BYTES", 10)

        class Unread(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                raise AssertionError(size)

        assert code_of(post(executor, b"x" * 11, Unread())) == (413, "batch_too_large")


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_callers_who_stall_hold_up_nobody(world: mandates.Savings) -> None:
    """Neither a body that never ends nor an answer that is never read holds a lock."""
    issued = mandates.issue(world)
    sent = json.dumps(line(issued, "mine")).encode() + b"\n"
    with running_server({"ISSUER_URL": settings.ISSUER_URL}, workers=1) as server:
        half = [stalled(world, server.url, sent, 2 * len(sent)) for _ in range(2)]
        deaf = [stalled(world, server.url, b"{}\n" * 500, 1500)]
        try:
            credentials = (world.executor.client.client_id, world.executor.secret)
            with httpx.Client(base_url=server.url, auth=credentials, timeout=10) as http:
                headers = {"Idempotency-Key": "other"}
                answer = http.post(REDEMPTIONS, json=job(issued), headers=headers)
            assert answer.status_code == 201
        finally:
            for each in half + deaf:
                each.close()
    assert RedemptionAttempt.objects.get().idempotency_key == "other"
    assert whole_ledger()


def stalled(world: mandates.Savings, url: str, sent: bytes, length: int) -> socket.socket:
    """Send a batch of `length` bytes of which these arrive, and read nothing."""
    host, port = url.removeprefix("http://").split(":")
    login = f"{world.executor.client.client_id}:{world.executor.secret}".encode()
    head = (
        f"POST {BATCH} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: {NDJSON}\r\n"
        f"Authorization: Basic {base64.b64encode(login).decode()}\r\nContent-Length: {length}\r\n"
    )
    caller = socket.create_connection((host, int(port)))
    caller.sendall(head.encode() + b"\r\n" + sent)
    return caller
