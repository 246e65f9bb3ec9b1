"""Settings that follow from the environment, read by a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

COOKIES = tuple(
    f"{cookie}_COOKIE_{what}"
    for cookie in ("SESSION", "CSRF")
    for what in ("NAME", "SECURE", "HTTPONLY", "SAMESITE")
)
HSTS = ("SECURE_HSTS_SECONDS", "SECURE_HSTS_INCLUDE_SUBDOMAINS", "SECURE_HSTS_PRELOAD")


def read(*names: str, **env: str) -> list[object]:
    wanted = ", ".join(f"s.{name}" for name in names)
    program = f"import json, authproject.settings as s; print(json.dumps([{wanted}]))"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=settings.BASE_DIR,
        env=os.environ | env,
        stdout=subprocess.PIPE,
        check=True,
    )
    values: list[object] = json.loads(ended.stdout)
    return values


@pytest.mark.parametrize(
    ("env", "values"),
    [
        ({}, [31_536_000, False, False]),
        ({"HSTS_SUBDOMAINS": "true", "HSTS_SECONDS": "60"}, [60, True, True]),
        ({"ISSUER_URL": "http://auth.example.com", "HSTS_SUBDOMAINS": "true"}, [0, False, False]),
    ],
)
def test_hsts_leaves_subdomains_to_their_owner(env: dict[str, str], values: list[object]) -> None:
    assert read(*HSTS, **{"ISSUER_URL": "https://auth.example.com"} | env) == values


def test_cookies_are_bound_to_the_host_wherever_it_has_https() -> None:
    flags = [True, True, "Lax"]
    expected = ["__Host-session", *flags, "__Host-csrf", *flags]

    assert read(*COOKIES, ISSUER_URL="https://auth.example.com") == expected


def test_a_browsers_cookie_lives_as_long_as_its_place() -> None:
    lifetime = {"BROWSER_SESSION_LIFETIME": "7200"}

    assert read("SESSION_COOKIE_AGE", "SESSION_ENGINE", **lifetime) == [
        7200,
        "accounts.pages.session_store",
    ]


@pytest.mark.parametrize("lines", ["", "password\n", f"{'B' * 40}:1\n{'A' * 40}:2\n"])
def test_nothing_starts_with_a_list_that_would_be_searched_in_vain(
    tmp_path: Path, lines: str
) -> None:
    leaked = tmp_path / "leaked"
    leaked.write_text(f"{'A' * 40}:1\n{'B' * 40}:2\n")
    assert read("PASSWORD_MIN_LENGTH", BREACHED_PASSWORDS_FILE=str(leaked)) == [15]

    leaked.write_text(lines)

    with pytest.raises(subprocess.CalledProcessError):
        read("PASSWORD_MIN_LENGTH", BREACHED_PASSWORDS_FILE=str(leaked))
