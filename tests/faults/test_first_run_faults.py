"""`quickstart` on bad ground: a sentence with cause and mend, or it goes on with what is there."""

import socket
import subprocess
from pathlib import Path

import pytest

from tests.installations import Installation
from tests.ports import free_port

pytestmark = [pytest.mark.slow, pytest.mark.faults]


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


def check_sentence(ended: subprocess.CompletedProcess[str], cause: str, mend: str) -> None:
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert cause in ended.stderr
    assert mend in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_a_half_made_database_is_completed(installation: Installation) -> None:
    assert installation.manage("migrate", "accounts").returncode == 0
    ended = installation.manage("quickstart", "--no-serve")
    assert ended.returncode == 0, ended.stderr
    assert "25 people, 8 operations" in ended.stdout


def test_a_taken_port(installation: Installation) -> None:
    with socket.create_server(("127.0.0.1", installation.port)):
        ended = installation.manage("quickstart")
    check_sentence(ended, f"Port {installation.port} is taken", "another with --port")


def test_a_taken_port_of_the_example(installation: Installation) -> None:
    with socket.create_server(("127.0.0.1", installation.example_port)):
        ended = installation.manage("quickstart")
    check_sentence(ended, f"Port {installation.example_port} is taken", "set EXAMPLE_PORT")


def test_another_port_moves_the_addresses(installation: Installation) -> None:
    port = free_port()
    ended = installation.manage("quickstart", "--no-serve", "--no-demo", "--port", str(port))
    assert f"http://127.0.0.1:{port}/admin/" in ended.stdout


def test_a_folder_that_is_none(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = installation.manage("quickstart", DATA_DIR=str(tmp_path / "file" / "var"))
    check_sentence(ended, "Not a directory", "set DATA_DIR to another folder")


def test_a_database_that_is_away(installation: Installation) -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    ended = installation.manage("quickstart", "--no-serve", DATABASE_URL=url)
    check_sentence(ended, "connection failed", "check DATABASE_URL")


def test_a_database_that_is_none(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "authproject.sqlite3").write_bytes(b"this is no database" * 100)
    ended = installation.manage("quickstart", "--no-serve")
    check_sentence(ended, "file is not a database", "authproject.sqlite3 away")


def test_lost_encryption_keys(installation: Installation, tmp_path: Path) -> None:
    assert installation.manage("quickstart", "--no-serve", "--no-demo").returncode == 0
    (tmp_path / "field_encryption_keys").unlink()
    ended = installation.manage("quickstart", "--no-serve", "--no-demo", LOG_LEVEL="ERROR")
    assert ended.returncode == 1
    assert "set the FIELD_ENCRYPTION_KEYS that it was made with" in ended.stderr.splitlines()[-1]


def test_production_without_its_settings(installation: Installation) -> None:
    ended = installation.manage("quickstart", "--no-serve", ENVIRONMENT="production")
    check_sentence(ended, "Production cannot start", "SECRET_KEY must be set")
