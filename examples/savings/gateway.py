"""The gateway: lets a person's request through to the trigger once the authority vouches for it.

RFC 7662 (introspection), RFC 6750 (bearer tokens). It keeps nothing and asks for no token itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx

from examples.savings.web import (
    BadGateway,
    InvalidToken,
    Request,
    Response,
    WebError,
    json_answer,
)

META_SCOPE = "trigger_continuous_savings"
STANDING_ORDERS = "trigger_standing_orders"


class InsufficientScope(WebError):
    code = "insufficient_scope"
    status = HTTPStatus.FORBIDDEN
    title = "The token lacks a scope."

    def __init__(self, scope: str) -> None:
        super().__init__(f"The token lacks the scope {scope}.")
        self.challenge = f'Bearer error="insufficient_scope", scope="{scope}"'


@dataclass(frozen=True)
class Gateway:
    http: httpx.Client
    introspection_url: str
    credentials: tuple[str, str]  # client_id and client_secret of the gateway
    trigger_url: str
    trigger_audience: str
    meta_scope: str = META_SCOPE

    def post_savings(self, request: Request) -> Response:
        """Check the bearer token; pass that very token and body on, and the answer back."""
        token = request.bearer_token()
        self._check(self._introspect(token))
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        answer = self.http.post(self.trigger_url, content=request.body, headers=headers)
        return Response.relayed(answer)

    def _introspect(self, token: str) -> Mapping[str, Any]:
        form = {"token": token, "token_type_hint": "access_token"}
        answer = self.http.post(self.introspection_url, data=form, auth=self.credentials)
        claims = json_answer(answer)
        if not answer.is_success:
            raise BadGateway("The authority did not accept this gateway.")
        return claims

    def _check(self, claims: Mapping[str, Any]) -> None:
        # A token for another service counts for nothing here, however alive: whoever was given it
        # could otherwise start savings in the person's name.
        if claims.get("active") is not True or claims.get("aud") != self.trigger_audience:
            raise InvalidToken
        if self.meta_scope not in str(claims.get("scope", "")).split():
            raise InsufficientScope(self.meta_scope)
