"""The trigger: exchanges a person's short-lived token for an operation token and queues that.

RFC 8693 (token exchange), RFC 9396 (authorization_details). The operation token goes from the
authority to the queue and nowhere else: no caller and no log ever sees it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx

from examples.savings.web import (
    BadGateway,
    InvalidRequest,
    Request,
    Response,
    WebError,
    json_answer,
)

OPERATION_TYPE = "savings.deposit"  # the meta-scope is enough
STANDING_ORDER = "savings.standing_order"  # the person confirms each one at the authority
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"  # RFC 8693, section 2.1
SUBJECT_TYPE = "urn:ietf:params:oauth:token-type:access_token"  # RFC 8693, section 3


class Refused(WebError):
    """The authority said no; its own code and words go to the caller."""

    status = HTTPStatus.BAD_REQUEST
    title = "The authority refused this mandate."

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True)
class Trigger:
    http: httpx.Client
    authority_url: str
    credentials: tuple[str, str]  # client_id and client_secret of the trigger
    executor_audience: str
    operation_type: str = OPERATION_TYPE

    def post_savings(self, request: Request) -> Response:
        """Turn `{operation, constraints, consent_id?}` into a mandate and its runs; answer its id.

        consent_id: what the person confirmed at the authority, for a type that wants that. It is
        passed on as it is: it buys exactly what was confirmed, or nothing.
        """
        token, body = request.bearer_token(), request.json_object()
        operation, constraints = _object(body, "operation"), _object(body, "constraints")
        # The constraints come first: whatever they hold, it cannot replace the members set here.
        details = {
            **constraints,
            "type": self.operation_type,
            "actions": [self.operation_type],
            "locations": [self.executor_audience],
            "operation": operation,
        }
        grant = self._exchange(token, json.dumps([details], sort_keys=True), _consent_id(body))
        queued = self._queue(grant["access_token"], operation)
        shown = {name: grant[name] for name in ("grant_id", "expires_in", "authorization_details")}
        return Response.json(HTTPStatus.CREATED, {**shown, "queued": queued})

    def _exchange(self, subject_token: str, details: str, consent_id: str) -> Mapping[str, Any]:
        form = {
            "grant_type": GRANT_TYPE,
            "subject_token": subject_token,
            "subject_token_type": SUBJECT_TYPE,
            "audience": self.executor_audience,
            "scope": self.operation_type,
            "authorization_details": details,
        }
        if consent_id:
            form["consent_id"] = consent_id
        # The key follows from what is asked: when an answer is lost on its way, the same request
        # gets the operation token that was already issued, and there is no second mandate.
        unique = f"{subject_token} {details} {consent_id}".rstrip()
        return self._post("/oauth/token", unique, data=form)

    def _queue(self, operation_token: str, operation: Mapping[str, Any]) -> Any:
        job = {"operation_token": operation_token, "operation": operation}
        return self._post("/api/v1/queue", operation_token, json=job)["queued"]

    def _post(self, path: str, unique: str, **content: Any) -> Mapping[str, Any]:
        headers = {"Idempotency-Key": hashlib.sha256(unique.encode()).hexdigest()}
        url = self.authority_url + path
        answer = self.http.post(url, auth=self.credentials, headers=headers, **content)
        body = json_answer(answer)
        # A 401 is about this trigger's own secret: that is no business of the caller's.
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            raise BadGateway("The authority did not accept this trigger.")
        if answer.is_client_error:
            code = body.get("error") or body.get("code") or "refused"
            raise Refused(str(code), str(body.get("error_description") or body.get("detail") or ""))
        return body


def _object(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = body.get(name)
    if not isinstance(value, dict):
        raise InvalidRequest("This member must be there, as an object.", pointer=f"/{name}")
    return value


def _consent_id(body: Mapping[str, Any]) -> str:
    value = body.get("consent_id", "")
    if not isinstance(value, str):
        raise InvalidRequest("This member is a string.", pointer="/consent_id")
    return value
