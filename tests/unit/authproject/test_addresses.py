"""Addresses in the environment, and what the service says when it cannot start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from authproject.addresses import database_config, mail_config, web_address


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "mysql://user:pass-secret@host/name",
        "postgresql://user:pass-secret@host:port/name",
        "postgresql://user:pass-secret@host:99999/name",
        "postgresql://user:pass-secret@[::1/name",
    ],
)
def test_refuses_a_database_address_without_repeating_it(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL") as refused:
        database_config(url)
    assert "pass-secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["postgres://u@h:5433/x", "postgresql://u@h/x", "sqlite:////a/b"])
def test_reads_a_database_address(url: str) -> None:
    assert database_config(url)["ENGINE"].startswith("django.db.backends.")


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "http://user:pass-secret@host",
        "smtp://",
        "smtp+tls://user:pass-secret@host:port",
        "smtp+tls://user:pass-secret@[::1",
    ],
)
def test_refuses_a_mail_server_without_repeating_it(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="EMAIL_URL") as refused:
        mail_config(url, folder=Path("mail"))
    assert "pass-secret" not in str(refused.value)


def test_reads_a_mail_server() -> None:
    config = mail_config("smtp+tls://me:p%40ss@mail.example:587", folder=Path("mail"))
    assert (config["EMAIL_HOST"], config["EMAIL_PORT"]) == ("mail.example", 587)
    assert (config["EMAIL_HOST_USER"], config["EMAIL_HOST_PASSWORD"]) == ("me", "p@ss")
    assert (config["EMAIL_USE_TLS"], config["EMAIL_USE_SSL"]) == (True, False)


def test_writes_mail_into_files_where_no_server_is_named() -> None:
    config = mail_config("", folder=Path("/data/mail"))
    assert config["EMAIL_BACKEND"].endswith("filebased.EmailBackend")
    assert config["EMAIL_FILE_PATH"] == "/data/mail"
    assert mail_config("filemail:///a/b", folder=Path("mail"))["EMAIL_FILE_PATH"] == "/a/b"


@pytest.mark.parametrize(
    "text", ["auth", "ftp://a", "http://", "https://a:b", "http://[::1", "http://a?b"]
)
def test_refuses_what_is_no_web_address(text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="ISSUER_URL"):
        web_address("ISSUER_URL", text)


@pytest.mark.parametrize(
    ("name", "value"),
    [("DATABASE_URL", "nonsense"), ("FIELD_ENCRYPTION_KEYS", "schlüssel" * 5), ("PORT", "70000")],
)
def test_a_start_that_cannot_be_ends_in_a_sentence(name: str, value: str) -> None:
    ended = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=settings.BASE_DIR,
        env=os.environ | {name: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert name in ended.stderr
    assert ended.stderr.count("\n") == 1
