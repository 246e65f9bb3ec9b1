"""I12: no secret in any log, row or error body, whatever is asked, rightly or wrongly.

Real processes log all they can; then everything that they left behind is searched.
"""

import base64
import json
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from django.conf import settings

from accounts.models import SecurityEvent, ServiceClient
from accounts.services.rotate_signing_keys import ensure_signing_keys
from authproject.quickstart.demo import ensure_example
from tests import mandates, plays
from tests.identity_providers import OidcProvider, serving
from tests.leaks import database_dumps, leaks
from tests.plays import Play
from tests.plays_of_people import people_use_every_way_in
from tests.plays_of_travellers import carol_comes_from_a_provider
from tests.ports import free_port
from tests.servers import manage, running, running_server, wait_until_ready

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

LOUD = {"LOG_LEVEL": "DEBUG"}
# One address asks more often here than any person would.
UNLIMITED = {"RATE_LIMITS": "off"}
PLACES = {
    "path": "server's log",
    "text": "database",
    "bytes": "database",
    "base64": "database",
    "hex": "database",
    "code": "errors",
    "account": "bank",
}


@pytest.fixture
def corp() -> Iterator[OidcProvider]:
    provider = OidcProvider()
    with serving(provider):
        yield provider


@pytest.fixture
def play(tmp_path: Path, corp: OidcProvider) -> Iterator[Play]:
    """Run server, worker and example; the test drives them over HTTP."""
    ensure_signing_keys()
    port = free_port()
    example = ensure_example(f"http://127.0.0.1:{port}")
    providers = {"FEDERATED_PROVIDERS": json.dumps([corp.entry("corp", sign_up=True)])}
    with ExitStack() as stack:
        server = stack.enter_context(
            running_server(LOUD | UNLIMITED | providers | {"ISSUER_URL": settings.ISSUER_URL})
        )
        logs = {
            "server": server.log,
            "worker": tmp_path / "worker",
            "example": tmp_path / "example",
        }
        mail = {"EMAIL_URL": f"filemail://{tmp_path}/mail"}  # the one place where links stand
        worker = manage("run_worker", "--poll", "0.2")
        stack.enter_context(running(worker, log=logs["worker"], env=LOUD | mail))
        env = plays.example_environment(example, authority=server.url, port=port, folder=tmp_path)
        process = stack.enter_context(running(plays.EXAMPLE, log=logs["example"], env=LOUD | env))
        wait_until_ready(f"{example.url}/healthz", process, logs["example"])
        http = stack.enter_context(httpx.Client(timeout=20))
        yield Play(server.url, example, http, logs={**logs, "server": server.log}, folder=tmp_path)


def test_no_secret_is_left_behind(play: Play, corp: OidcProvider) -> None:
    plays.people_come_and_go(play)
    plays.machines_show_their_secrets(play)
    plays.a_mandate_is_issued_and_runs(play)
    plays.tokens_are_misused(play)
    people_use_every_way_in(play)
    carol_comes_from_a_provider(play, corp)
    planted = plant(play)

    places = play.places() | database_dumps()

    assert leaks(planted, places).issuperset(f"{name} in {PLACES[name]}" for name in planted)
    assert leaks(play.secrets | plays.installation_secrets(play.example), places) == set()


def plant(play: Play) -> dict[str, bytes]:
    """Leave values where a secret could be: only a search that finds them proves something."""
    planted = {name: secrets.token_hex(16) for name in ("path", "text", "bytes", "base64", "hex")}
    play.ask("GET", f"/api/v1/{planted['path']}", 404)
    ServiceClient.objects.create(
        client_id=planted["text"], delivery_secret_sealed=planted["bytes"].encode()
    )
    encoded = base64.b64encode(f"x{planted['base64']}".encode()).decode()
    data = {"base64": encoded, "hex": planted["hex"].encode().hex()}
    SecurityEvent.objects.create(code="planted", outcome="success", data=data)
    known = {"code": "invalid_credentials", "account": str(mandates.OPERATION["debtor_account"])}
    return {name: value.encode() for name, value in (planted | known).items()}
