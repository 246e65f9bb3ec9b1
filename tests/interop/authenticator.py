"""A person at the REST interface who sets an authenticator app up and signs in with it."""

from typing import Any

from django.test import Client

from accounts.models import User
from tests import factories
from tests.rest import Caller

TOTP = "/api/v1/me/totp"


def begin(user: User) -> tuple[Caller, dict[str, str]]:
    """Return the signed-in person, and what they are shown."""
    caller = Caller(factories.bearer(factories.access_token_for(user)))
    answer = caller.post(TOTP)
    assert answer.status_code == 201, answer.content
    return caller, answer.json()


def confirm(caller: Caller, otp: str) -> list[str]:
    """Show a code; return the recovery codes."""
    answer = caller.post(f"{TOTP}/confirm", {"otp": otp})
    assert answer.status_code == 200, answer.content
    return list(answer.json()["recovery_codes"])


def sign_in(user: User, otp: str) -> Any:
    """Sign in with password and code."""
    body = {"username": user.username, "password": factories.PASSWORD, "otp": otp}
    return Client().post("/api/v1/auth/token", body, "application/json")
