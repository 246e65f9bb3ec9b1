"""Executor, bank and a fake authority, wired as the example wires them, without any socket."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from batchtokens_verifier.client import ExecutorClient
from batchtokens_verifier.jwks import JwksCache
from batchtokens_verifier.middleware.guards import Deliveries
from batchtokens_verifier.policy import ExecutorPolicy
from batchtokens_verifier.status_cache import StatusListCache
from batchtokens_verifier.verifier import Verifier
from examples.savings import executor as executor_module
from examples.savings.bank import Bank
from examples.savings.executor import Executor
from examples.savings.web import Application
from tests.unit.savings.authority import (
    AUDIENCE,
    DELIVERY_SECRET,
    ISSUER,
    OPERATION,
    FakeAuthority,
    signed_delivery,
)
from tests.unit.savings.wsgi import Answer, call

Deliver = Callable[..., Answer]


@pytest.fixture
def authority() -> FakeAuthority:
    return FakeAuthority()


@pytest.fixture
def http(authority: FakeAuthority) -> Iterator[httpx.Client]:
    with httpx.Client(transport=httpx.MockTransport(authority)) as client:
        yield client


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return Bank(tmp_path / "savings.sqlite3")


@pytest.fixture
def executor(http: httpx.Client, bank: Bank, monkeypatch: pytest.MonkeyPatch) -> Executor:
    monkeypatch.setattr(executor_module, "RETRY_PAUSES", (0.0, 0.0))
    keys = JwksCache(f"{ISSUER}/.well-known/jwks.json", http=http)
    policy = ExecutorPolicy(ISSUER, AUDIENCE, frozenset({"savings.deposit"}))
    verifier = Verifier(policy, keys, StatusListCache(ISSUER, keys=keys, http=http))
    return Executor(
        authority=ExecutorClient(ISSUER, "executor", "executors-secret", http=http),
        deliveries=Deliveries(DELIVERY_SECRET, verifier),
        bank=bank,
    )


@pytest.fixture
def deliver(executor: Executor) -> Deliver:
    """Deliver a token, and the copy of its operation that the queue holds."""
    application = Application({("POST", "/executor/deliveries"): executor.post_delivery})

    def post(token: str, operation: dict[str, Any] | None = None, **delivery: Any) -> Answer:
        headers, body = signed_delivery(token, operation or OPERATION, **delivery)
        return call(application, "POST", "/executor/deliveries", body, headers)

    return post
