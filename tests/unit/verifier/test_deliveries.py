"""Deliveries: signed by the authority, recent, whole."""

import base64
import binascii
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from standardwebhooks.webhooks import EmptyWebhookSecretError

from batchtokens_verifier.deliveries import Delivery, verify_delivery
from batchtokens_verifier.errors import DeliveryNotValid
from tests.unit.verifier.minting import OPERATION

KEY = b"an executor's own delivery secret"
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
GOOD = {"operation_token": "a.b.c", "operation": OPERATION, "occurrence": "o0", "attempt": 1}


def signed(
    body: bytes, *, key: bytes = KEY, webhook_id: str = "op_a.o0", age: int = 0
) -> dict[str, str]:
    """Return Standard Webhooks headers, made without the library under test."""
    stamp = str(int(time.time()) - age)
    message = f"{webhook_id}.{stamp}.".encode() + body
    signature = base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()
    return {
        "Webhook-Id": webhook_id,
        "Webhook-Timestamp": stamp,
        "Webhook-Signature": f"v1,{signature}",
    }


def deliver(members: Any, **options: Any) -> Delivery:
    body = json.dumps(members).encode()
    return verify_delivery(signed(body, **options), body, secret=SECRET)


def test_delivery_names_its_idempotency_key() -> None:
    delivery = deliver(GOOD | {"attempt": 3})

    assert delivery.operation == OPERATION
    assert delivery.idempotency_key == "op_a.o0.3"
    assert "a.b.c" not in repr(delivery)


@pytest.mark.parametrize("age", [-400, 400])
def test_old_and_future_deliveries_are_refused(age: int) -> None:
    with pytest.raises(DeliveryNotValid):
        deliver(GOOD, age=age)


def test_other_executors_delivery_is_refused() -> None:
    with pytest.raises(DeliveryNotValid):
        deliver(GOOD, key=b"another executor's secret")


def test_changed_body_is_refused() -> None:
    body = json.dumps(GOOD).encode()

    with pytest.raises(DeliveryNotValid):
        verify_delivery(signed(body), body.replace(b"50.00", b"99.00"), secret=SECRET)


@pytest.mark.parametrize("name", ["Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"])
@pytest.mark.parametrize("value", [None, "", "x", "v1,é", "v1,!"])
def test_malformed_headers_are_refused(name: str, value: str | None) -> None:
    body = json.dumps(GOOD).encode()
    headers = {key: text for key, text in (signed(body) | {name: value}).items() if text}

    with pytest.raises(DeliveryNotValid):
        verify_delivery(headers, body, secret=SECRET)


@pytest.mark.parametrize(
    "members",
    [
        [],
        {},
        GOOD | {"operation": "savings"},
        GOOD | {"operation_token": None},
        GOOD | {"attempt": "1"},
        GOOD | {"attempt": True},
        GOOD | {"occurrence": "o1"},
        GOOD | {"occurrence": 0},
    ],
)
def test_signed_nonsense_is_refused(members: Any) -> None:
    with pytest.raises(DeliveryNotValid):
        deliver(members)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"attempt":1,"attempt":2}', b" " * 65537])
def test_signed_bytes_that_are_no_delivery_are_refused(body: bytes) -> None:
    with pytest.raises(DeliveryNotValid):
        verify_delivery(signed(body), body, secret=SECRET)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_A"])
def test_unusable_secret_is_a_mistake_of_the_executor(secret: str) -> None:
    body = json.dumps(GOOD).encode()

    with pytest.raises((EmptyWebhookSecretError, binascii.Error)):
        verify_delivery(signed(body), body, secret=secret)
