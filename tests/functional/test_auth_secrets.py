"""After signing in, refreshing and being refused, no secret is in any row or log line."""

import logging
import re
from base64 import b32encode

import pytest
from django.apps import apps
from django.test import Client

from accounts.services.rotate_signing_keys import ensure_signing_keys
from tests import factories
from tests.factories import basic, bearer
from tests.tokens import claims_of

pytestmark = pytest.mark.django_db
JSON = "application/json"


def rows() -> str:
    """Everything that is stored, as text."""
    models = apps.get_models(include_auto_created=True)
    return "\n".join(str(row) for model in models for row in model._default_manager.values())


def everything_that_is_secret(client: Client) -> list[str]:
    """Go through the doors, rightly and wrongly, and return what was shown there."""
    body = {"username": "alice", "password": factories.PASSWORD}
    first = client.post("/api/v1/auth/token", body, content_type=JSON).json()
    url = "/api/v1/auth/token/refresh"
    second = client.post(url, {"refresh": first["refresh"]}, content_type=JSON).json()
    client.post(url, {"refresh": second["refresh"]}, content_type=JSON)
    client.post(url, {"refresh": first["refresh"]}, content_type=JSON)
    client.post("/api/v1/auth/token", body | {"password": "mistyped1"}, content_type=JSON)
    client.get("/api/v1/me", headers=bearer(first["access"] + "x"))
    gateway, secret = factories.service_client()
    client.get("/api/v1/queue", headers=basic(gateway, secret))
    client.get("/api/v1/queue", headers=basic(gateway, secret[:-1] + "~"))
    tokens = [first["access"], first["refresh"], second["access"], second["refresh"]]
    names = [str(claims_of(token)["jti"]) for token in tokens]
    return [factories.PASSWORD, "mistyped1", secret, secret[20:53], *tokens, *names]


def secrets_of_the_second_step(client: Client) -> list[str]:
    """Sign in with app and recovery code, and step up, rightly and wrongly."""
    bob = factories.bob()
    _, code = factories.totp_device(bob)
    recovery = factories.recovery_code(bob)
    body = {"username": "bob", "password": factories.PASSWORD}
    mfa_token = client.post("/api/v1/auth/token", body, content_type=JSON).json()["mfa_token"]
    url = "/api/v1/auth/token/totp"
    for otp in ("MISTYPED-RECOVERY", recovery):
        answer = client.post(url, {"mfa_token": mfa_token, "otp": otp}, content_type=JSON)
    access = answer.json()["access"]
    url = "/api/v1/auth/step-up"
    for members in ({"password": "mistyped2"}, {"otp": "987654"}, {"otp": code()}):
        client.post(url, members, content_type=JSON, headers=bearer(access))
    key = factories.TOTP_KEY
    written = [recovery, recovery.replace("-", ""), "MISTYPED-RECOVERY", "mistyped2"]
    return [mfa_token, access, *written, key.decode(), b32encode(key).decode()]


def test_no_secret_is_stored_or_logged(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    ensure_signing_keys()
    factories.alice()

    with caplog.at_level(logging.DEBUG):
        secrets = [*everything_that_is_secret(client), *secrets_of_the_second_step(client)]

    stored, logged = rows(), caplog.text
    assert {"refresh_replayed", "recovery_code_used", "stepped_up"} <= set(
        re.findall(r"\w+", stored)
    )
    for secret in secrets:
        signature = secret.rpartition(".")[2]
        assert signature not in stored
        assert signature not in logged
