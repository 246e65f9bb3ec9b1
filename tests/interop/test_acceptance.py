"""docs/accept-operation-tokens.md: its executor runs as printed, against the real authority."""

import base64
import hashlib
import hmac
import json
import os
import re
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings

from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens.models import HoldKind, Redemption
from batchtokens.services.revoke import cancel_operation
from tests import mandates
from tests.ports import free_port
from tests.servers import running

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
PAGE = settings.BASE_DIR / "docs" / "accept-operation-tokens.md"
Deliver = Callable[..., httpx.Response]


@pytest.fixture
def world(issuer: str) -> mandates.Savings:
    ensure_signing_keys()
    return mandates.savings()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "executor.sqlite3"


@pytest.fixture
def deliver(
    world: mandates.Savings, issuer: str, tmp_path: Path, database: Path
) -> Iterator[Deliver]:
    """Run the page's executor.py; return what sends it a delivery as the worker does."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    script = tmp_path / "executor.py"
    script.write_text("\n".join(blocks), encoding="utf-8")
    port = free_port()
    secret = world.redeemer.delivery_secret()
    environment = {
        "ISSUER_URL": issuer,
        "AUDIENCE": mandates.EXECUTOR_AUDIENCE,
        "CLIENT_ID": world.redeemer.client_id,
        "CLIENT_SECRET": world.executor.secret,
        "DELIVERY_SECRET": secret,
        "DATABASE": str(database),
        "PORT": str(port),
        "PYTHONPATH": str(settings.BASE_DIR),
    }

    def send(token: str, **changes: Any) -> httpx.Response:
        members = {"operation": mandates.OPERATION, "occurrence": "p0", "attempt": 1} | changes
        body = json.dumps({"operation_token": token} | members).encode()
        headers = signed(body, secret, f"op_a.{members['occurrence']}")
        return httpx.post(f"http://127.0.0.1:{port}/", content=body, headers=headers, timeout=30)

    command = [sys.executable, str(script)]
    with running(command, log=tmp_path / "log", env=os.environ | environment):
        _wait(port)
        yield send


def _wait(port: int) -> None:
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up:
        try:
            httpx.get(f"http://127.0.0.1:{port}/", timeout=5)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the executor did not start")


def signed(body: bytes, secret: str, webhook_id: str) -> dict[str, str]:
    stamp = str(int(time.time()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"{webhook_id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
    }


def deposits(database: Path) -> list[Any]:
    with closing(sqlite3.connect(database)) as opened:
        return opened.execute("SELECT account, minor FROM deposits").fetchall()


def test_pages_executor_acts_once_and_settles(
    world: mandates.Savings, deliver: Deliver, database: Path
) -> None:
    token = mandates.issue(world).token

    answers = [deliver(token), deliver(token)]

    assert [answer.status_code for answer in answers] == [200, 200], answers[0].text
    assert answers[0].json() == answers[1].json()
    assert deposits(database) == [("sav-7781", 5000)]
    assert [row.settled_at is not None for row in Redemption.objects.all()] == [True]


def test_pages_executor_refuses_what_nobody_allowed(
    world: mandates.Savings, deliver: Deliver, database: Path
) -> None:
    issued = mandates.issue(world)
    edited = mandates.OPERATION | {"creditor_account": "sav-6666"}

    answers = [deliver(issued.token, operation=edited), deliver(f"{issued.token[:-4]}AAAA")]

    codes = [answer.json()["code"] for answer in answers]
    assert codes == ["operation_mismatch", "operation_token_not_valid"]
    assert deposits(database) == []


def test_pages_executor_learns_of_a_cancellation_offline(
    world: mandates.Savings, deliver: Deliver, database: Path
) -> None:
    issued = mandates.issue(world)
    cancel_operation(operation_id=issued.row.pk, by=HoldKind.STAFF)

    answer = deliver(issued.token)

    assert (answer.status_code, answer.json()["code"]) == (403, "operation_revoked")
    assert deposits(database) == []
