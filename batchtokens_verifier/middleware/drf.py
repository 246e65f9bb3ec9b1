"""Authentication for Django REST framework, which is not imported: its exception is handed over.

```python
from rest_framework.exceptions import AuthenticationFailed
from batchtokens_verifier.middleware.drf import access_token_authentication

AccessTokenAuthentication = access_token_authentication(guard, refuse_with=AuthenticationFailed)
```
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from batchtokens_verifier.claims import AccessTokenClaims
from batchtokens_verifier.errors import ProblemError, TokenMissing
from batchtokens_verifier.middleware.guards import AccessTokens, challenge, problem_members


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a token is for, as permissions ask: `pk` is its subject."""

    pk: str
    scopes: frozenset[str]
    is_authenticated: bool = True
    is_active: bool = True
    is_anonymous: bool = False
    is_staff: bool = False


def principal_of(claims: AccessTokenClaims) -> Any:
    """Return the token's subject as `request.user`."""
    return Principal(claims.sub, frozenset(claims.scope.split(" ")))


def access_token_authentication(
    guard: AccessTokens,
    *,
    refuse_with: Callable[..., Any],
    user_of: Callable[[AccessTokenClaims], Any] = principal_of,
) -> type:
    """Return an authentication class: `request.user` by `user_of`, `request.auth` the claims.

    refuse_with: `AuthenticationFailed`; its body is the problem's members.
    """

    class AccessTokenAuthentication:
        def authenticate(self, request: Any) -> tuple[Any, AccessTokenClaims] | None:
            try:
                claims = guard.check(request.headers.get("Authorization"))
            except TokenMissing:
                return None  # another class may know the credential; permissions decide
            except ProblemError as error:
                request.refused_token = error
                raise _exception(error, refuse_with) from None
            return user_of(claims), claims

        def authenticate_header(self, request: Any) -> str:
            error = getattr(request, "refused_token", None)
            return (challenge(error) if error else "") or "Bearer"

    return AccessTokenAuthentication


def problem_exception_handler(handler: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return an exception handler that answers refused tokens as RFC 9457 problem documents.

    handler: the project's, which answers all else: `rest_framework.views.exception_handler`. Keep
    it out of the file of the authentication class, which that module imports.
    """

    def handle(error: Any, context: Any) -> Any:
        response = handler(error, context)
        if response is not None and (problem := getattr(error, "problem", None)):
            response.data = problem
            response.content_type = "application/problem+json"
        return response

    return handle


def _exception(error: ProblemError, refuse_with: Callable[..., Any]) -> Any:
    refusal = refuse_with(detail=problem_members(error))
    refusal.problem = problem_members(error)
    refusal.status_code = int(error.status)
    return refusal
