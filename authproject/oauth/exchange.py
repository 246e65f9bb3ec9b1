"""The token exchange grant: a person's access token for one operation token (RFC 8693)."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from accounts.api.authentication import context_of
from accounts.api.headers import idempotency_key
from accounts.errors import InvalidRequest, InvalidTarget
from accounts.models import Outcome, ServiceClient
from accounts.services.record_event import record_event
from authproject.oauth.clients import sending_client
from authproject.oauth.errors import InvalidAuthorizationDetails
from authproject.oauth.parameters import TARGETS, Parameters, required
from batchtokens.services.issuing.exchange import ExchangeRequest, exchange_access_token
from batchtokens.services.issuing.issue import Issued
from batchtokens_verifier.canonical import parse_json
from batchtokens_verifier.errors import ProblemError

# RFC 8693 section 3.
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


def token_exchange(request: HttpRequest, form: Parameters) -> dict[str, Any]:
    """Exchange, and answer with the details as granted (RFC 8693 section 2.2, RFC 9396, 7)."""
    client = sending_client(request, form)
    wanted = _read_request(form, idempotency_key(request))
    try:
        issued = exchange_access_token(by=client, request=wanted)
    except ProblemError as refusal:
        _record(refusal, client, request)
        raise
    return _answer(issued, wanted)


def _read_request(form: Parameters, key: str) -> ExchangeRequest:
    if "actor_token" in form or "actor_token_type" in form:
        raise InvalidRequest("The client itself is the actor: send no actor_token.")
    if required(form, "subject_token_type") != ACCESS_TOKEN:
        raise InvalidRequest("subject_token_type must be that of an access token.")
    if form.get("requested_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
        raise InvalidRequest("requested_token_type must be that of an access token.")
    return ExchangeRequest(
        subject_token=required(form, "subject_token"),
        target=_target(form),
        scope=required(form, "scope"),
        details=_details(required(form, "authorization_details")),
        idempotency_key=key,
        consent_id=form.get("consent_id"),
    )


def _target(form: Parameters) -> str:
    named = [form[name] for name in TARGETS if name in form]
    if len(named) > 1:
        raise InvalidTarget("Name one target, as audience or as resource.")
    return named[0] if named else required(form, "audience")


def _details(text: str) -> Mapping[str, Any]:
    value = parse_json(text)
    if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], dict):
        raise InvalidAuthorizationDetails
    details: dict[str, Any] = value[0]
    # It is looked up before anything else is checked, and PostgreSQL takes no NUL.
    if not str(details.get("type", "")).isprintable():
        raise InvalidAuthorizationDetails("type is not the name of an operation type.")
    return details


def _record(refusal: ProblemError, client: ServiceClient, request: HttpRequest) -> None:
    """Keep what a known client was refused (I12); an outage is no refusal."""
    if refusal.status >= 500:
        return
    record_event(
        code="exchange_refused",
        outcome=Outcome.REFUSED,
        client=client,
        data={"reason": refusal.code},
        context=context_of(request),
    )


def _answer(issued: Issued, wanted: ExchangeRequest) -> dict[str, Any]:
    left = issued.row.valid_to - timezone.now()
    return {
        "access_token": issued.token,
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": int(left.total_seconds()),
        "scope": wanted.scope,
        "authorization_details": [issued.row.details],
        "grant_id": issued.row.public_id,
    }
