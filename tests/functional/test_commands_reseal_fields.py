"""`reseal_fields`: after it, the older keys can be removed, and nothing was lost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from django.core.management import call_command
from django_otp.oath import totp

from accounts.errors import SealBroken
from accounts.management.base import Exit, PartialFailure
from accounts.models import Authenticator, SecurityEvent, ServiceClient, SigningKey, TotpDevice
from accounts.services.replace_recovery_codes import replace_recovery_codes
from accounts.services.verify_second_factor import verify_second_factor
from accounts.tokens.keyring import forget_key_ring
from batchtokens.models import OperationToken, QueuedRun
from batchtokens.services.issuing.exchange import exchange_access_token
from batchtokens.services.keys.list_sealed_columns import list_sealed_columns as of_batchtokens
from batchtokens.services.queue.enqueue import enqueue_operation_token
from tests import factories, mandates
from tests.races import at_once

NEW = b"n" * 32
pytestmark = pytest.mark.django_db


@pytest.fixture
def old(settings: Any) -> bytes:
    """Return the key under which everything was sealed so far."""
    return bytes(settings.FIELD_ENCRYPTION_KEYS[0])


@pytest.fixture
def world(old: bytes) -> mandates.Savings:
    """One sealed value of every kind at least."""
    world = mandates.savings()
    request = replace(mandates.exchange_request(world), idempotency_key="kept for a retry")
    issued = exchange_access_token(by=world.trigger.client, request=request)
    enqueue_operation_token(
        by=world.trigger.client, token=issued.token, operation=mandates.OPERATION
    )
    factories.totp_device(world.alice)
    factories.service_client("deliver", delivery_url="https://deliver.example/due")
    return world


@pytest.fixture
def keys(settings: Any, world: mandates.Savings, old: bytes) -> Any:
    """Put a new key first."""
    settings.FIELD_ENCRYPTION_KEYS = [NEW, old]
    return settings


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*words: str) -> tuple[Mapping[str, Any], str]:
        capsys.readouterr()
        call_command("reseal_fields", "--format=json", *words)
        printed = capsys.readouterr()
        return {row["id"]: row for row in json.loads(printed.out)}, printed.err

    return call


def everything() -> list[bytes]:
    """Return every sealed value that there is."""
    columns = [
        (TotpDevice, "key_sealed"),
        (ServiceClient, "delivery_secret_sealed"),
        (SigningKey, "private_sealed"),
        (QueuedRun, "sealed"),
        (OperationToken, "sealed_token"),
    ]
    values = [
        value
        for model, field in columns
        for value in model._default_manager.values_list(field, flat=True)
    ]
    return [bytes(value) for value in values if value]


def test_counts_without_changing_anything(run: Any, keys: Any) -> None:
    before = everything()

    rows, _ = run("--dry-run")

    assert {row["left"] > 0 for name, row in rows.items() if name != "recovery-codes"} == {True}
    assert everything() == before


def test_makes_the_old_key_needless(run: Any, keys: Any, world: mandates.Savings) -> None:
    device, secret = TotpDevice.objects.get(), ServiceClient.objects.get(client_id="deliver")
    key, delivery = device.key(), secret.delivery_secret()

    rows, said = run("--batch=2")

    assert {row["left"] for row in rows.values()} == {0}
    assert "Nothing needs the older keys" in said
    keys.FIELD_ENCRYPTION_KEYS = [NEW]
    forget_key_ring()
    assert TotpDevice.objects.get().key() == key
    assert ServiceClient.objects.get(client_id="deliver").delivery_secret() == delivery
    assert factories.access_token_for(world.alice)
    for column in of_batchtokens():
        assert not column.outdated().exists()


def test_seals_nothing_twice(run: Any, keys: Any) -> None:
    run()
    before = everything()

    rows, _ = run()

    assert {row["resealed"] for row in rows.values()} == {0}
    assert everything() == before
    names = SecurityEvent.objects.filter(code="fields_resealed").values_list("data", flat=True)
    assert len({data["column"] for data in names}) == len(names) == 6


def test_says_how_many_recovery_codes_are_left(run: Any, old: bytes, settings: Any) -> None:
    alice = factories.alice()
    factories.totp_device(alice)
    code, *_ = replace_recovery_codes(by=alice, acr="aal2")
    settings.FIELD_ENCRYPTION_KEYS = [NEW, old]
    assert verify_second_factor(user=alice, code=code)

    rows, said = run()

    assert rows["recovery-codes"]["left"] == 9
    assert "9 recovery codes of 1 people" in said
    replace_recovery_codes(by=alice, acr="aal2")
    assert run()[0]["recovery-codes"]["left"] == 0


def test_leaves_what_it_cannot_open(run: Any, old: bytes, settings: Any) -> None:
    device, _ = factories.totp_device(factories.alice())
    factories.totp_device(factories.bob())
    TotpDevice.objects.filter(pk=device.pk).update(key_sealed=b"\x01" + b"?" * 60)
    settings.FIELD_ENCRYPTION_KEYS = [NEW, old]

    with pytest.raises(PartialFailure) as failure:
        run("--batch=1")

    assert failure.value.returncode == Exit.PARTIAL
    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    assert TotpDevice.objects.get(user__username="bob").key() == factories.TOTP_KEY
    with pytest.raises(SealBroken):
        TotpDevice.objects.get(pk=device.pk).key()


@pytest.mark.parametrize("batch", ["0", "-1", "ten", "10001"])
def test_refuses_batches_that_are_none(batch: str) -> None:
    with pytest.raises(Exception, match="number from 1"):
        call_command("reseal_fields", f"--batch={batch}")


@pytest.mark.postgresql
@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_two_at_once_lose_nothing(old: bytes, settings: Any) -> None:
    people = [factories.user(f"person{number}") for number in range(20)]
    for person in people:
        factories.totp_device(person)
    settings.FIELD_ENCRYPTION_KEYS = [NEW, old]

    def work() -> int:
        call_command("reseal_fields", "--batch=3", "--quiet")
        return 0

    code = f"{totp(factories.TOTP_KEY):06}"

    def sign_in() -> int:
        return sum(bool(verify_second_factor(user=p, code=code)) for p in people)

    assert at_once(work, work, sign_in)[2] == len(people)
    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    assert {device.key() for device in TotpDevice.objects.all()} == {factories.TOTP_KEY}
    assert {device.last_step > 0 for device in TotpDevice.objects.all()} == {True}
    assert not Authenticator.objects.filter(failures__gt=0).exists()
