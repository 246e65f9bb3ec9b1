"""What can go wrong in accounts.  Codes never change; texts may.

Only authproject.problems turns these into HTTP.
"""

from batchtokens_verifier.errors import ProblemError


class AccountsError(ProblemError):
    """Base of this app's refusals."""

    code = "accounts_error"
    status = 400
    title = "The request was refused."


class InvalidRequest(AccountsError):
    code = "invalid_request"
    title = "The request is malformed."


class SeveralCredentials(InvalidRequest):
    title = "Send exactly one credential with a request."


class InvalidCredentials(AccountsError):
    """Unknown user, wrong password, inactive user: one answer for all."""

    code = "invalid_credentials"
    status = 401
    title = "The username or password is wrong."
    oauth_error = "invalid_grant"


class InvalidClient(AccountsError):
    """RFC 6749 section 5.2: unknown client, wrong secret, inactive client."""

    code = "invalid_client"
    status = 401
    title = "Client authentication failed."
    oauth_error = "invalid_client"


class InvalidScope(AccountsError):
    code = "invalid_scope"
    title = "A requested scope is unknown, malformed or not allowed."
    oauth_error = "invalid_scope"


class InvalidTarget(AccountsError):
    """RFC 8707 section 2: the resource is no registered audience."""

    code = "invalid_target"
    title = "The requested resource is unknown."
    oauth_error = "invalid_target"


class InsufficientScope(AccountsError):
    """RFC 6750 section 3.1.  The detail names the missing scope."""

    code = "insufficient_scope"
    status = 403
    title = "The credential lacks a scope."

    def __init__(self, scope: str) -> None:
        super().__init__(f"This needs the scope {scope}.")
        self.scope = scope


class UnknownId(AccountsError):
    """Absent and somebody else's look the same."""

    code = "not_found"
    status = 404
    title = "Not found."


class RateLimited(AccountsError):
    """Too many tries.  `retry_after`: seconds; `limit`: tries per `window` seconds.

    `first`: whether it is the first refusal of its window.
    """

    code = "rate_limited"
    status = 429
    title = "Too many requests."

    def __init__(
        self, *, policy: str, limit: int, window: int, retry_after: int, first: bool = False
    ) -> None:
        super().__init__(f"Try again in {retry_after} seconds.")
        self.policy = policy
        self.limit = limit
        self.window = window
        self.retry_after = retry_after
        self.first = first


class NoSigningKey(AccountsError):
    """The key store is empty or cannot be opened: refuse, never sign with another key."""

    code = "no_signing_key"
    status = 503
    title = "No signing key is available."
    oauth_error = "temporarily_unavailable"


class TooManyKeys(AccountsError):
    """Verifiers refuse a larger key set, so no larger one is ever published."""

    code = "too_many_keys"
    status = 409
    title = "The key set is full."


class SealBroken(AccountsError):
    """A sealed value was changed, belongs elsewhere, or its key is gone."""

    code = "seal_broken"
    status = 503
    title = "A stored value could not be opened."
    oauth_error = "server_error"


class IdempotencyKeyMissing(AccountsError):
    code = "idempotency_key_missing"
    status = 400
    title = "The Idempotency-Key header is missing or not valid"
