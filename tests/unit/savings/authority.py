"""An authority for unit tests: it signs real tokens, and keeps its redemptions in a dict."""

import base64
import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from joserfc import jws
from joserfc.jwk import ECKey
from standardwebhooks import Webhook

from batchtokens_verifier.canonical import parameter_digest
from batchtokens_verifier.claims import redemption_id, token_hash
from examples.savings.bank import Bank

ISSUER = "https://id.example"
AUDIENCE = "https://savings.example/"
DELIVERY_SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()
OPERATION: dict[str, Any] = {
    "action": "savings.deposit",
    "amount": {"amount": "50.00", "currency": "USD"},
    "creditor_account": "sav-7781",
    "debtor_account": "chk-1042",
    "reference": "monthly savings",
}


def problem(status: int, code: str) -> httpx.Response:
    return httpx.Response(status, json={"code": code, "detail": code, "status": status})


def signed_delivery(
    token: str,
    operation: dict[str, Any],
    *,
    attempt: int = 1,
    secret: str = DELIVERY_SECRET,
    webhook_id: str = "op_1.p0",
) -> tuple[dict[str, str], bytes]:
    """Return headers and body of a delivery, as the authority's worker makes them."""
    content = {"operation_token": token, "operation": operation}
    body = json.dumps({**content, "occurrence": "p0", "attempt": attempt})
    now = datetime.now(UTC)
    signature = Webhook(secret).sign(webhook_id, now, body)
    headers = {"webhook-id": webhook_id, "webhook-timestamp": str(int(now.timestamp()))}
    return {**headers, "webhook-signature": signature}, body.encode()


@dataclass
class Slot:
    """One redemption: what the authority remembers of it."""

    attempt: int
    lease_expires_at: datetime
    status: str = "reserved"
    keys: set[str] = field(default_factory=set)


class FakeAuthority:
    """Answers as the authority does. `lost` names calls that are done, but whose answer is lost."""

    def __init__(self) -> None:
        self.lease = timedelta(minutes=5)
        self.slots: dict[str, Slot] = {}
        self.calls: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.lost: Counter[str] = Counter()
        self.refusals: dict[str, httpx.Response] = {}
        self.changes: dict[str, Any] = {}  # members of its redemptions to answer otherwise
        self._lock = threading.Lock()
        self._key = ECKey.generate_key("P-256", auto_kid=True)

    def token(self, operation: dict[str, Any] | None = None, **changes: Any) -> str:
        """Sign an operation token of one period, `p0`; `changes` replace members of its claims."""
        operation = OPERATION if operation is None else operation
        now = datetime.now(UTC).replace(microsecond=0)
        begin = changes.pop("valid_from", now - timedelta(minutes=1))
        end = changes.pop("valid_to", now + timedelta(days=1))
        cap = changes.pop("cap", OPERATION["amount"])
        detail = {
            "type": "savings.deposit",
            "actions": ["savings.deposit"],
            "locations": [changes.get("aud", AUDIENCE)],
            "identifier": "op_1",
            "operation": operation,
            "valid_from": f"{begin:%Y-%m-%dT%H:%M:%SZ}",
            "valid_to": f"{end:%Y-%m-%dT%H:%M:%SZ}",
            "max_individual_amount": cap,
            "redemption": {"mode": "issuer", "uri": f"{ISSUER}/api/v1/redemptions"},
        }
        claims = {
            "iss": ISSUER,
            "sub": "usr_alice",
            "aud": AUDIENCE,
            "client_id": "trigger",
            "act": {"sub": "trigger"},
            "scope": "savings.deposit",
            "txn": "7c1f2f3e-0000-7000-8000-000000000001",
            "jti": "opt_AAAAAAAAAAAAAAAAAAAAAA",
            "iat": int(begin.timestamp()),
            "nbf": int(begin.timestamp()),
            "exp": int(end.timestamp()),
            "parameter_digest": parameter_digest(operation),
            "consent": {"mode": "scope"},
            "authorization_details": [detail],
        }
        return self.sign(claims | changes)

    def sign(self, claims: dict[str, Any]) -> str:
        header = {"alg": "ES256", "kid": self._key.kid, "typ": "at+jwt"}
        return jws.serialize_compact(header, json.dumps(claims).encode(), self._key)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        name = request.url.path.rstrip("/").rpartition("/")[2]
        with self._lock:
            self.calls[name] += 1
            response = self.refusals.get(name) or self._answer(name, request)
            if self.lost[name]:
                self.lost[name] -= 1
                raise httpx.ReadError("the answer was lost", request=request)
            # Streamed, as from a socket: of bytes, httpx reads a response before it is asked to.
            return httpx.Response(response.status_code, content=iter([response.content]))

    def _answer(self, name: str, request: httpx.Request) -> httpx.Response:
        if name == "jwks.json":
            jwk = self._key.as_dict(private=False)
            public = {"kid": self._key.kid, "alg": "ES256", "use": "sig", "purpose": "operation"}
            return httpx.Response(200, json={"keys": [jwk | public]})
        if request.method == "GET":
            slot = self.slots[name]
            return httpx.Response(200, json={"status": slot.status, "attempt": slot.attempt})
        body = json.loads(request.content)
        self.bodies.append(body)
        if name == "redemptions":
            return self._redeem(body, request.headers["idempotency-key"])
        return self._finish(name, request.url.path.split("/")[-2], body["attempt"])

    def _redeem(self, body: dict[str, Any], key: str) -> httpx.Response:
        claims = json.loads(jws.extract_compact(body["operation_token"].encode()).payload)
        slot_id = redemption_id(token_hash(claims["jti"]), body["occurrence"])
        now = datetime.now(UTC)
        slot = self.slots.get(slot_id)
        if slot is None:
            slot = self.slots[slot_id] = Slot(1, now + self.lease)
        elif key not in slot.keys:
            if slot.status == "settled" or now < slot.lease_expires_at:
                return problem(409, "slot_already_redeemed")
            slot.attempt, slot.lease_expires_at = slot.attempt + 1, now + self.lease
        slot.keys.add(key)
        answer = {
            "redemption_id": slot_id,
            "slot": body["occurrence"],
            "status": slot.status,
            "attempt": slot.attempt,
            "amount": body["amount"],
            "remaining": {},
            "proceed": now < slot.lease_expires_at,
            "receipt": f"receipt-{slot.attempt}",
            "lease_expires_at": slot.lease_expires_at.isoformat(),
        }
        return httpx.Response(201, json=answer | self.changes)

    def _finish(self, verb: str, slot_id: str, attempt: int) -> httpx.Response:
        slot = self.slots[slot_id]
        if attempt < slot.attempt:
            return problem(409, "lease_lost")
        slot.status = {"settle": "settled", "release": "released"}[verb]
        return httpx.Response(200, json={"redemption_id": slot_id, "status": slot.status})


def saved(bank: Bank) -> int:
    """Return what is in the savings account, in minor units."""
    return sum(balance.minor for _, number, balance in bank.balances() if number == "sav-7781")


def status_at_authority(authority: FakeAuthority) -> list[str]:
    return [slot.status for slot in authority.slots.values()]
