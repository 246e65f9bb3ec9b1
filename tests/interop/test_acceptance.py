"""docs/accept-operation-tokens.md: its executors run as printed, against the real authority."""

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
from batchtokens.models import HoldKind, OperationToken, Redemption
from batchtokens.services.mandates.revoke import cancel_operation
from batchtokens.services.redemption.stop_executor import stop_executor
from tests import factories, mandates
from tests.ports import free_port
from tests.servers import STARTED_WITHIN, running

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


# A Django project of one view, and the same behind Django REST framework.
SITE = """
import os
import sys
from wsgiref.simple_server import make_server

from django.conf import settings

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"]}},
    MIDDLEWARE=["executor_django.delivery_guard"],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["executor_drf.AccessToken"],
        "EXCEPTION_HANDLER": "executor_problems.answer_problems",
        "UNAUTHENTICATED_USER": None,
    },
    ROOT_URLCONF="site_of_one_view",
    SECRET_KEY="for this test",
)

import django

django.setup()

from django.core.wsgi import get_wsgi_application
from django.urls import path
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.response import Response

from executor_django import take_delivery

if os.environ["FRAMEWORK"] == "rest":
    def taken(request):
        return take_delivery(request._request)

    taken = api_view(["POST"])(permission_classes([])(authentication_classes([])(taken)))
else:
    taken = take_delivery


@api_view(["GET"])
def me(request):
    return Response({"sub": request.user.pk})


urlpatterns = [path("deliveries", taken), path("me", me)]

if __name__ == "__main__":
    sys.modules["site_of_one_view"] = sys.modules["__main__"]
    make_server("127.0.0.1", int(os.environ["PORT"]), get_wsgi_application()).serve_forever()
"""
BLOCK = re.compile(r"^```python( \w+\.py)?\n(.*?)^```", re.DOTALL | re.MULTILINE)
GRANIAN = str(Path(sys.executable).with_name("granian"))
SERVERS = {
    "wsgi": [sys.executable, "-m", "executor"],
    "asgi": [GRANIAN, "--interface", "asgi", "--loop", "asyncio", "executor_asgi:guarded"],
    "django": [sys.executable, "-m", "site_of_one_view"],
    "rest": [sys.executable, "-m", "site_of_one_view"],
}
EACH_SERVER = pytest.mark.parametrize("server", SERVERS)


def write_page(folder: Path) -> None:
    """Write the page's files into `folder`; blocks without a name go on with executor.py."""
    files: dict[str, list[str]] = {}
    for name, text in BLOCK.findall(PAGE.read_text("utf-8")):
        files.setdefault(name.strip() or "executor.py", []).append(text)
    for name, texts in files.items():
        (folder / name).write_text("\n".join(texts), encoding="utf-8")
    (folder / "site_of_one_view.py").write_text(SITE, encoding="utf-8")


@pytest.fixture
def server() -> str:
    return "wsgi"


@pytest.fixture
def address(
    server: str, world: mandates.Savings, issuer: str, tmp_path: Path, database: Path
) -> Iterator[str]:
    """Run one of the page's executors; return where it listens."""
    write_page(tmp_path)
    port = free_port()
    environment = {
        "ISSUER_URL": issuer,
        "AUDIENCE": mandates.EXECUTOR_AUDIENCE,
        "CLIENT_ID": world.redeemer.client_id,
        "CLIENT_SECRET": world.executor.secret,
        "DELIVERY_SECRET": world.redeemer.delivery_secret(),
        "DATABASE": str(database),
        "PORT": str(port),
        "PYTHONPATH": f"{tmp_path}:{settings.BASE_DIR}",
        "FRAMEWORK": server,
        "GRANIAN_PORT": str(port),
    }
    with running(SERVERS[server], log=tmp_path / "log", env=os.environ | environment):
        _wait(port)
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def deliver(world: mandates.Savings, address: str) -> Deliver:
    """Return what sends a delivery as the worker does."""
    secret = world.redeemer.delivery_secret()

    def send(token: str, **changes: Any) -> httpx.Response:
        members = {"operation": mandates.OPERATION, "occurrence": "p0", "attempt": 1} | changes
        body = json.dumps({"operation_token": token} | members).encode()
        headers = signed(body, secret, f"{OperationToken.objects.get().public_id}.p0")
        return httpx.post(f"{address}/deliveries", content=body, headers=headers, timeout=60)

    return send


def _wait(port: int) -> None:
    give_up = time.monotonic() + STARTED_WITHIN
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


@EACH_SERVER
def test_pages_executor_acts_once_and_settles(
    world: mandates.Savings, deliver: Deliver, database: Path
) -> None:
    token = mandates.issue(world).token

    answers = [deliver(token), deliver(token)]

    assert [answer.status_code for answer in answers] == [200, 200], answers[0].text
    assert answers[0].json() == answers[1].json()
    assert deposits(database) == [("sav-7781", 5000)]
    assert [row.settled_at is not None for row in Redemption.objects.all()] == [True]


@EACH_SERVER
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


@EACH_SERVER
def test_pages_executor_hands_on_the_authoritys_refusal(
    world: mandates.Savings, deliver: Deliver, database: Path
) -> None:
    issued = mandates.issue(world)
    stop_executor(executor=world.redeemer, reason="drill")

    answer = deliver(issued.token)

    assert (answer.status_code, answer.json()["code"]) == (403, "executor_stopped")
    assert deposits(database) == []


@pytest.mark.parametrize("server", ["rest"])
def test_pages_api_takes_access_tokens_for_itself(world: mandates.Savings, address: str) -> None:
    own = factories.access_token_for(world.alice, audience=mandates.EXECUTOR_AUDIENCE)
    others = factories.access_token_for(world.alice, audience="https://other.example/")

    headers = [factories.bearer(one) for one in (own, others)]
    answers = [httpx.get(f"{address}/me", headers=each, timeout=60) for each in headers]

    assert (answers[0].status_code, answers[0].json()) == (200, {"sub": world.alice.public_id})
    assert (answers[1].status_code, answers[1].json()["code"]) == (401, "token_not_valid")
    assert answers[1].headers["Content-Type"] == "application/problem+json"
