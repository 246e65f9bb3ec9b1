"""A standing order over real servers: confirmed, exchanged, queued, delivered and paid, once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings

from accounts.models import User
from accounts.services.create_service_client import NewServiceClient
from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens.models import OperationToken
from batchtokens.services.operation_types.create_operation_type import create_operation_type
from tests import factories
from tests.cluster import EXAMPLE, Part, authority, check_ledger, due_now, eventually, worker
from tests.ports import free_port

pytestmark = [pytest.mark.faults, pytest.mark.slow]

DEFINITION = Path(settings.BASE_DIR) / "examples/savings/savings.standing_order.json"
META_SCOPE = "trigger_standing_orders"
OPERATION = {
    "action": "savings.standing_order",
    "amount": {"amount": "50.00", "currency": "USD"},
    "creditor_account": "sav-7781",
    "debtor_account": "chk-1042",
    "reference": "monthly savings",
}


@dataclass(frozen=True)
class Town:
    """Where Alice's app reaches the authority and the example."""

    alice: User
    authority: str
    savings: str

    def ask(self, path: str, body: Any = None) -> httpx.Response:
        """Ask the authority as Alice's app does."""
        token = factories.access_token_for(self.alice, scope="profile account")
        headers, url = factories.bearer(token), f"{self.authority}/api/v1/operations{path}"
        return httpx.request("POST" if body else "GET", url, json=body, headers=headers, timeout=60)

    def order(self, **body: Any) -> httpx.Response:
        """Send it through the gateway, with a token that is good for the trigger alone."""
        audience = f"{self.savings}/trigger"
        token = factories.access_token_for(self.alice, scope=META_SCOPE, audience=audience)
        return self.order_with(token, **body)

    def order_with(self, token: str, **body: Any) -> httpx.Response:
        url = f"{self.savings}/gateway/standing-orders"
        return httpx.post(url, json=body, headers=factories.bearer(token), timeout=60)

    def transfers(self) -> list[dict[str, Any]]:
        answer = httpx.get(f"{self.savings}/executor/transfers", timeout=60)
        results: list[dict[str, Any]] = answer.json()["results"]
        return results


@pytest.fixture
def town(transactional_db: None, tmp_path: Path) -> Iterator[Town]:
    ensure_signing_keys()
    web, bank = free_port(), free_port()
    savings, office = f"http://127.0.0.1:{bank}", f"http://127.0.0.1:{web}"
    clients = store_clients(savings)
    create_operation_type(definition=json.loads(DEFINITION.read_text()))
    example = Part(
        EXAMPLE,
        {
            "AUTHORITY_URL": office,
            "ISSUER_URL": settings.ISSUER_URL,
            "PUBLIC_URL": savings,
            "PORT": str(bank),
            "DATA_DIR": str(tmp_path),
            "DELIVERY_SECRET": clients["EXECUTOR"].client.delivery_secret(),
            **{f"{role}_CLIENT_ID": new.client.client_id for role, new in clients.items()},
            **{f"{role}_CLIENT_SECRET": new.secret for role, new in clients.items()},
        },
        tmp_path / "example.log",
        f"{savings}/healthz",
    )
    with ExitStack() as running:
        for part in (authority(tmp_path, port=web), example, worker(tmp_path)):
            running.callback(part.close)
            part.start()
            part.wait_until_ready()
        yield Town(factories.alice(may_ask_for=[META_SCOPE]), office, savings)


def store_clients(savings: str) -> dict[str, NewServiceClient]:
    return {
        "GATEWAY": factories.service_client("savings-gateway", scopes=["introspect"]),
        "TRIGGER": factories.service_client(
            "savings-trigger", scopes=["token_exchange"], audience=f"{savings}/trigger"
        ),
        "EXECUTOR": factories.service_client(
            "savings-executor",
            scopes=["redeem"],
            audience=f"{savings}/",
            delivery_url=f"{savings}/executor/deliveries",
        ),
    }


def test_what_was_confirmed_is_paid_and_nothing_else(town: Town) -> None:
    constraints = {name: v for name, v in due_now(2).items() if v is not None}
    words = {"operation": OPERATION, "constraints": constraints}
    consent = confirm(town, words)
    dear = {**OPERATION, "amount": {"amount": "5000.00", "currency": "USD"}}

    refused = town.order(**{**words, "operation": dear}, consent_id=consent)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_authorization_details")
    assert not OperationToken.objects.exists()

    audience = f"{town.savings}/trigger"
    token = factories.access_token_for(town.alice, scope=META_SCOPE, audience=audience)
    first, again = (town.order_with(token, **words, consent_id=consent) for _ in range(2))
    assert (first.status_code, first.json()["queued"]) == (201, 2), first.text
    assert again.json()["grant_id"] == first.json()["grant_id"]

    eventually(lambda: len([t for t in town.transfers() if t["settled_at"]]) == 2)
    assert town.order(**words, consent_id=consent).status_code == 400
    assert town.ask(f"/consents/{consent}").json()["status"] == "spent"
    check_money(town, first.json()["grant_id"])


def confirm(town: Town, words: dict[str, Any]) -> str:
    """Be shown it, and confirm it with a code; return the consent's id."""
    _, code = factories.totp_device(town.alice)
    asked = {"type": "savings.standing_order", "client": "savings-trigger", **words}
    shown = town.ask("/consents", asked).json()
    assert shown["summary"].startswith("Standing order: deposit 50.00 USD from “chk-1042” into")
    body = {"otp": code(), "mandate_digest": shown["mandate_digest"]}
    assert town.ask(f"/consents/{shown['id']}/confirm", body).json()["status"] == "confirmed"
    return str(shown["id"])


def check_money(town: Town, grant_id: str) -> None:
    """Expect that it moved once a run, as signed, and that the ledger says the same."""
    moved = [(t["operation_id"], t["slot"], t["amount"]) for t in town.transfers()]
    assert sorted(moved) == [(grant_id, slot, OPERATION["amount"]) for slot in ("o0", "o1")]
    row = OperationToken.objects.get()
    assert (row.consent_mode, row.settled_count, row.taken_minor) == ("exact", 2, 10000)
    check_ledger()
