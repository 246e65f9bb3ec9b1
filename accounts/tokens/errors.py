"""What can go wrong with signing keys.  Codes never change; texts may."""

from accounts.errors import AccountsError


class NoSigningKey(AccountsError):
    """The key store is empty or cannot be opened: refuse, never sign with another key."""

    code = "no_signing_key"
    status = 503
    title = "No signing key is available."
    oauth_error = "temporarily_unavailable"


class SigningKeyNotOurs(AccountsError):
    """A row that the key store has not vouched for.  reason: goes to the log."""

    code = "signing_key_not_ours"
    status = 503
    title = "A signing key cannot be used."
    oauth_error = "server_error"

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class SigningKeyUnknown(AccountsError):
    code = "signing_key_unknown"
    status = 404
    title = "There is no such signing key."


class TooManyKeys(AccountsError):
    """Verifiers refuse a larger key set, so no larger one is ever published."""

    code = "too_many_keys"
    status = 409
    title = "The key set is full."
