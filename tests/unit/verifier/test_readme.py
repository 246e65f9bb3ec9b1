"""The README's executor runs as it is printed, against a pretend authority."""

import base64
import hashlib
import hmac
import json
import re
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

import batchtokens_verifier
from tests.unit.verifier.authority import PretendAuthority
from tests.unit.verifier.minting import OPERATION, OPERATION_ID, detail, mint, operation_claims
from tests.unit.verifier.status_lists import URI, status_token
from tests.unit.verifier.vectors import load

README = Path(batchtokens_verifier.__file__).with_name("README.md")
ANSWER = {
    "redemption_id": "rdm_a",
    "slot": "o0",
    "status": "reserved",
    "attempt": 1,
    "amount": OPERATION["amount"],
    "remaining": {},
    "proceed": True,
    "receipt": "a.b.c",
    "lease_expires_at": "2099-01-01T00:00:00Z",
}


class Authority(PretendAuthority):
    """Answers each address as the authority would; the redemption answers are its replies."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/.well-known/jwks.json":
            return httpx.Response(200, json=load("tokens")["jwks"])
        if str(request.url) == URI:
            now = int(time.time())
            return httpx.Response(200, text=status_token(iat=now, exp=now + 3600))
        return super().__call__(request)


@pytest.fixture
def authority() -> PretendAuthority:
    return Authority(httpx.Response(201, json=ANSWER), httpx.Response(200, json={}))


@pytest.fixture
def sample(authority: PretendAuthority, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    class Pretended(httpx.Client):
        def __init__(self, **options: Any) -> None:
            super().__init__(**{"transport": httpx.MockTransport(authority)} | options)

    monkeypatch.setattr(httpx, "Client", Pretended)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile("\n".join(blocks), README.name, "exec"), names)
    return names


STATUS = {"status_list": {"uri": URI, "idx": 5}}


def delivery(secret: str, *, status: Any = STATUS) -> tuple[dict[str, str], bytes]:
    start = datetime.now(UTC).replace(microsecond=0)
    times = {"valid_from": start, "valid_to": start + timedelta(days=365)}
    written = {name: f"{time:%Y-%m-%dT%H:%M:%SZ}" for name, time in times.items()}
    seconds = {"iat": times["valid_from"], "nbf": times["valid_from"], "exp": times["valid_to"]}
    claims = operation_claims(
        **{name: int(moment.timestamp()) for name, moment in seconds.items()},
        status=status,
        authorization_details=[detail(**written, schedule="FREQ=WEEKLY;COUNT=12")],
    )
    members = {"operation": OPERATION, "occurrence": "o0", "attempt": 1}
    body = json.dumps({"operation_token": mint(claims)} | members).encode()
    stamp = str(int(time.time()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"{OPERATION_ID}.o0.{stamp}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(mac).decode()}"
    headers = {"webhook-timestamp": stamp, "webhook-signature": signature}
    return headers | {"webhook-id": f"{OPERATION_ID}.o0"}, body


def test_sample_moves_money_once_and_settles(
    authority: PretendAuthority, sample: dict[str, Any]
) -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE transfers (account, minor)")
        database.execute(sample["effects"].schema)
        for _ in range(2):  # the second delivery finds the effect done
            authority.replies = [httpx.Response(201, json=ANSWER), httpx.Response(200, json={})]
            sample["take_delivery"](*delivery(sample["DELIVERY_SECRET"]), database)
        moved = database.execute("SELECT * FROM transfers").fetchall()

    assert moved == [("sav-7781", 5000)]
    asked = [request.url.path for request in authority.requests]
    assert asked == ["/api/v1/redemptions", "/api/v1/redemptions/rdm_a/settle"] * 2
    assert authority.sent() == {"attempt": 1, "reference": "transfer-1"}
