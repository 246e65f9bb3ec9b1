"""`quickstart`: what it prepares, what it keeps, and which sentence it ends with."""

import json
import socket
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from accounts.management.base import Stop, UsageError
from accounts.models import ApiKey, ServiceClient, SigningKey, User
from accounts.services.authenticate_client import authenticate_client
from accounts.tokens.keyring import forget_key_ring
from authproject.management.ports import require_free_port
from authproject.quickstart import demo, mandates, preparation
from batchtokens.models import OperationToken, OperationType, QueuedRun
from batchtokens_verifier.jws import Purpose
from tests.ports import free_port

pytestmark = pytest.mark.django_db(transaction=True)

EXAMPLE = "http://127.0.0.1:8100"


def quickstart(*arguments: str) -> dict[str, Any]:
    out = StringIO()
    fixed = ("--no-serve", "--no-input", "--format", "json")
    call_command("quickstart", *fixed, *arguments, stdout=out, stderr=StringIO())
    printed: dict[str, Any] = json.loads(out.getvalue())
    return printed


def test_prepares_an_empty_installation() -> None:
    printed = quickstart("--no-demo", "--email", "root@example.com")
    administrator = User.objects.get()
    assert administrator.is_superuser
    assert administrator.email == printed["email"] == "root@example.com"
    assert administrator.check_password(printed["password"])
    assert set(SigningKey.objects.values_list("purpose", flat=True)) == set(Purpose)
    assert not ServiceClient.objects.exists()


def test_a_second_time_keeps_what_is_there() -> None:
    first, second = quickstart("--no-demo"), quickstart("--no-demo", "--email", "b@example.com")
    assert (second["email"], second["password"]) == (first["email"], None)
    assert second["kid"] == first["kid"]
    assert SigningKey.objects.count() == len(Purpose)


def test_passwords_can_be_read_out() -> None:
    passwords = {preparation.generate_password() for _ in range(50)}
    assert len(passwords) == 50
    assert {len(word) for word in passwords} == {15}
    assert not set("".join(passwords)) & set("0O1lI")


def test_demo_data_has_people_clients_a_type_and_mandates(settings: Any) -> None:
    settings.DEVELOPMENT = True
    printed = quickstart("--demo")
    assert (printed["people"], printed["operations"]) == (demo.PEOPLE, len(mandates.PLANS))
    assert User.objects.get(username="johndoe").check_password("secret")
    kind = OperationType.objects.get(name="savings.deposit")
    assert [client.client_id for client in kind.trigger_clients.all()] == ["savings-trigger"]
    assert OperationToken.objects.exclude(holds=[]).count() == 1
    assert OperationToken.objects.filter(cancelled_at__isnull=False).count() == 1
    assert QueuedRun.objects.filter(state="pending").count() > len(mandates.PLANS)


def test_demo_data_twice_is_the_same_data(settings: Any) -> None:
    settings.DEVELOPMENT = True
    assert quickstart("--demo")["operations"] == quickstart("--demo")["operations"] == 8
    assert User.objects.count() == demo.PEOPLE + 1
    assert ServiceClient.objects.count() == 3


def test_johndoe_can_always_sign_in(settings: Any) -> None:
    settings.DEVELOPMENT = True
    quickstart("--demo")
    john = User.objects.get(username="johndoe")
    john.set_password("something of his own")
    john.save()
    quickstart("--demo")
    assert User.objects.get(pk=john.pk).check_password("secret")


def test_no_demo_data_outside_development() -> None:
    with pytest.raises(UsageError, match="known passwords"):
        quickstart("--demo")
    assert not User.objects.exists()


def test_a_later_run_makes_new_secrets_and_follows_the_example() -> None:
    former = demo.ensure_client("savings-trigger", scopes=["token_exchange"], audience=EXAMPLE)
    new = demo.ensure_client("savings-trigger", scopes=["token_exchange"], audience=f"{EXAMPLE}/b")
    client = authenticate_client(client_id=new.client_id, client_secret=new.secret)
    assert client.audience == f"{EXAMPLE}/b"
    assert former.secret != new.secret
    assert ApiKey.objects.filter(revoked_at=None).count() == 1


def test_credentials_do_not_show_their_secrets() -> None:
    credentials = demo.ensure_client("savings-gateway", scopes=["introspect"])
    assert credentials.secret not in repr(credentials)


def test_a_name_that_is_taken_is_not_promoted() -> None:
    User.objects.create_user("admin", "somebody@example.com", "a password of theirs")
    with pytest.raises(Stop, match="no administrator has the name admin"):
        quickstart("--no-demo")
    assert not User.objects.filter(is_superuser=True).exists()


def test_a_bad_address_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^--email: "):
        quickstart("--no-demo", "--email", "nobody")


@pytest.mark.parametrize("port", ["0", "65536"])
def test_a_bad_port_is_refused(port: str) -> None:
    with pytest.raises(UsageError, match="between 1 and 65535"):
        quickstart("--no-demo", "--port", port)


def test_a_taken_port_is_named_with_what_to_do() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)), pytest.raises(Stop) as stop:
        require_free_port("127.0.0.1", port, mend="choose another")
    assert str(stop.value) == f"Port {port} is taken by another program: choose another."


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Stop, match="set DATA_DIR to another folder"):
        preparation.require_writable(tmp_path / "file" / "var")


def test_keys_that_do_not_open_are_named_with_what_to_do() -> None:
    preparation.ensure_keys()
    SigningKey.objects.update(private_sealed=b"sealed with another key")
    forget_key_ring()
    with pytest.raises(Stop, match="FIELD_ENCRYPTION_KEYS"):
        preparation.ensure_keys()
