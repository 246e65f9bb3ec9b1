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
    """Unknown, inactive or unverified user, wrong password: one answer for all."""

    code = "invalid_credentials"
    status = 401
    title = "The username or password is wrong, or the e-mail address is not verified yet."
    oauth_error = "invalid_grant"


class EmailNotVerified(AccountsError):
    """Told to whom a provider has vouched for; behind a password it would tell of accounts."""

    code = "email_not_verified"
    status = 403
    title = "The e-mail address is not verified yet: open the link that was sent there."
    oauth_error = "invalid_grant"


class MfaRequired(AccountsError):
    """The password is right; a second factor is wanted.  `mfa_token` opens its step."""

    code = "mfa_required"
    status = 401
    title = "A second factor is required."
    oauth_error = "invalid_grant"

    def __init__(self, mfa_token: str, *, expires_in: int) -> None:
        super().__init__("Send a code from your authenticator app, or a recovery code.")
        self.mfa_token = mfa_token
        self.expires_in = expires_in

    def members(self) -> dict[str, str | int]:
        """Hand out what the second step is called with; it is no credential by itself."""
        return {"mfa_token": self.mfa_token, "expires_in": self.expires_in}


class MfaTokenNotValid(AccountsError):
    """Unknown, used, outdated or tried too often: sign in again."""

    code = "mfa_token_not_valid"
    status = 401
    title = "The sign-in must be started again."


class InvalidOtp(AccountsError):
    """Wrong, outdated, used, or of a disabled authenticator: one answer for all."""

    code = "invalid_otp"
    status = 401
    title = "The code is wrong."


class TotpNotPending(AccountsError):
    code = "totp_not_pending"
    status = 409
    title = "No authenticator app is being set up."


class TotpAlreadyOn(AccountsError):
    code = "totp_already_on"
    status = 409
    title = "An authenticator app is already in use."


class TotpNotOn(AccountsError):
    code = "totp_not_on"
    status = 409
    title = "No authenticator app is in use."


class LinkNotValid(AccountsError):
    """Unknown, used or outdated: one answer for all."""

    code = "link_not_valid"
    title = "The link is not valid any more."


class AuthenticationTooOld(AccountsError):
    """RFC 9470: a more recent, or a stronger, sign-in is wanted.  `max_age`: seconds; None: any."""

    code = "insufficient_user_authentication"
    status = 401
    title = "A more recent sign-in is required."
    oauth_error = "insufficient_user_authentication"

    def __init__(self, max_age: int | None, acr_values: str = "aal1") -> None:
        age = "" if max_age is None else f" at most {max_age} s ago,"
        super().__init__(f"Sign in again or step up:{age} at level {acr_values}.")
        self.max_age = max_age
        self.acr_values = acr_values

    def members(self) -> dict[str, str | int]:
        """Say what is wanted, as the challenge does."""
        age = {} if self.max_age is None else {"max_age": self.max_age}
        return {"acr_values": self.acr_values, **age}


class FederationRefused(AccountsError):
    """Whatever was wrong with what a provider sent: one answer, the cause in the log alone."""

    code = "federation_refused"
    status = 401
    title = "The provider's answer cannot be used."

    def __init__(self, reason: str = "") -> None:
        super().__init__()
        self.reason = reason


class ProviderUnavailable(AccountsError):
    code = "provider_unavailable"
    status = 503
    title = "The provider does not answer."


class NotForPages(AccountsError):
    code = "not_for_pages"
    status = 403
    title = "This address answers your app, not a page."


class IdentityNotLinked(AccountsError):
    code = "identity_not_linked"
    status = 403
    title = "This identity belongs to no account."


class IdentityTaken(AccountsError):
    code = "identity_taken"
    status = 409
    title = "This identity, or another one of the provider, is linked already."


class LastWayIn(AccountsError):
    code = "last_way_in"
    status = 409
    title = "Nothing would be left to sign in with."


class InvalidClient(AccountsError):
    """RFC 6749 section 5.2: unknown client, wrong secret, inactive client."""

    code = "invalid_client"
    status = 401
    title = "Client authentication failed."
    oauth_error = "invalid_client"


class AccountInactive(AccountsError):
    """Somebody was switched off while they asked for something that would outlast it."""

    code = "account_inactive"
    status = 403
    title = "The account is switched off."


class ApiKeyOnlyReads(AccountsError):
    """A person's API key was shown where something is changed; which, it does not matter."""

    code = "api_key_only_reads"
    status = 403
    title = "A person's API key only reads: sign in to change something."


class ApiKeyNotRotatable(AccountsError):
    code = "api_key_not_rotatable"
    status = 409
    title = "The key was rotated before, or opens nothing any more."


class TooManyApiKeys(AccountsError):
    code = "too_many_api_keys"
    status = 409
    title = "There are too many API keys: revoke one first."


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


class WaitForAttempt(RateLimited):
    """Somebody failed too often at one account, or from one address; which, it does not say."""

    def __init__(self, *, retry_after: int) -> None:
        super().__init__(policy="failures", limit=1, window=retry_after, retry_after=retry_after)


class SealBroken(AccountsError):
    """A sealed value was changed, belongs elsewhere, or its key is gone."""

    code = "seal_broken"
    status = 503
    title = "A stored value could not be opened."
    oauth_error = "server_error"


class IdempotencyKeyMissing(AccountsError):
    code = "idempotency_key_missing"
    title = "The Idempotency-Key header is missing or not valid."
