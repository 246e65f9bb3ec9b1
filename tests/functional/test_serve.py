"""`manage.py serve`: real processes."""

import socket
import subprocess

import httpx
import pytest

from accounts.services.rotate_signing_keys import ensure_signing_keys
from tests.servers import environment, free_port, manage, running_server

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def test_serves_with_several_workers_and_ends_with_its_children() -> None:
    ensure_signing_keys()
    with running_server(workers=2) as server:
        assert httpx.get(f"{server.url}/readyz", timeout=60).json()["status"] == "ready"
        assert httpx.get(f"{server.url}/livez", timeout=60).headers["X-Request-Id"]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/livez")
    assert server.process.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--port", "ten"], 2, "argument --port: invalid int value: 'ten'"),
        (["--port", "70000"], 2, "--port must be between 1 and 65535."),
        (["--workers", "0"], 2, "--workers must be at least 1."),
        (
            ["--host", "nosuch.invalid"],
            2,
            "nosuch.invalid is no address of this machine: choose another with --host.",
        ),
        (["--nonsense"], 2, "unrecognized arguments: --nonsense"),
    ],
)
def test_bad_options_end_in_a_sentence(arguments: list[str], code: int, sentence: str) -> None:
    ended = _run("serve", *arguments)
    assert (ended.returncode, ended.stderr.strip()) == (code, sentence)


def test_a_taken_port_ends_in_a_sentence() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        ended = _run("serve", "--port", str(port))
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"Port {port} is taken by another program")


def test_a_database_that_is_away_ends_in_a_sentence() -> None:
    away = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    ended = _run("doctor", DATABASE_URL=away)
    assert "Traceback" not in ended.stderr


def _run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        manage(*arguments), env=environment(env), capture_output=True, text=True, check=False
    )
