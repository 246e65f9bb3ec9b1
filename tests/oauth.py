"""Forms as OAuth clients send them."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.test import Client

from accounts.services.create_service_client import NewServiceClient
from batchtokens.services.issuing.exchange import ExchangeRequest
from tests import mandates
from tests.factories import basic

TOKEN_URL = "/oauth/token"
INTROSPECT_URL = "/oauth/introspect"
REVOKE_URL = "/oauth/revoke"
FORM = "application/x-www-form-urlencoded"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"

Form = Mapping[str, str | list[str] | None]


def send(
    form: Form | bytes,
    *,
    by: NewServiceClient | None = None,
    headers: Mapping[str, str] | None = None,
    url: str = TOKEN_URL,
    content_type: str = FORM,
) -> Any:
    """POST a form, whose absent parameters are None; `by` authenticates by HTTP Basic."""
    body = form if isinstance(form, bytes) else encode(form).encode()
    credentials = basic(by.client, by.secret) if by else {}
    # A machine has no CSRF token, and no test is to forgive that.
    client = Client(enforce_csrf_checks=True)
    return client.generic(
        "POST", url, body, content_type=content_type, headers={**credentials, **(headers or {})}
    )


def encode(form: Form) -> str:
    """Write the body; a list is a parameter that is there several times."""
    return urlencode({name: value for name, value in form.items() if value is not None}, doseq=True)


def exchange_form(request: ExchangeRequest, **changes: str | list[str] | None) -> Form:
    """Write the form of an exchange, with some parameters changed or (None) left out."""
    return {
        "grant_type": EXCHANGE,
        "subject_token": request.subject_token,
        "subject_token_type": ACCESS_TOKEN,
        "audience": request.target,
        "scope": request.scope,
        "authorization_details": json.dumps([request.details]),
        "consent_id": request.consent_id,
        **changes,
    }


def buy(
    world: mandates.Savings,
    subject: str | None = None,
    *,
    key: str | None = None,
    **changes: str | list[str] | None,
) -> Any:
    """Exchange as the trigger, with some parameters changed; `key` is the Idempotency-Key."""
    chosen = {} if subject is None else {"subject_token": subject}
    form = exchange_form(mandates.exchange_request(world), **changes)
    headers = {} if key is None else {"Idempotency-Key": key}
    return send({**form, **chosen}, by=world.trigger, headers=headers)


def details(**changes: Any) -> str:
    """Write authorization_details; None leaves a member out."""
    known = {"type": "savings.deposit", "operation": mandates.OPERATION}
    members = {**known, **mandates.constraints(), **changes}
    return json.dumps([{name: value for name, value in members.items() if value is not None}])


def refusal(answer: Any) -> str:
    """Return the error code of a refusal in the form of RFC 6749 §5.2, whose other parts hold."""
    assert answer.status_code in {400, 401, 415}, answer.content
    stale = answer.json()["error"] == "insufficient_user_authentication"  # RFC 9470
    further = {"acr_values"} | ({"max_age"} & answer.json().keys()) if stale else set()
    assert answer.json().keys() == {"error", "error_description"} | further
    assert answer.headers["Cache-Control"] == "no-store"
    assert (answer.status_code == 401) == (answer.json()["error"] == "invalid_client")
    return str(answer.json()["error"])
