"""Settings that follow from the environment, read by a process of its own."""

import json
import os
import subprocess
import sys

import pytest
from django.conf import settings

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
