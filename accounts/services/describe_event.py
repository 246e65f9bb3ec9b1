"""Tell people what the security log holds about them: a sentence for each code."""

from collections.abc import Mapping
from typing import Any

from accounts.models import SecurityEvent

DESCRIPTIONS: Mapping[str, str] = {
    "account_changed": "Staff changed your account.",
    "account_created": "Staff made your account.",
    "account_frozen": "Your account was frozen, because somebody wrote that it wasn't you.",
    "account_registered": "Your account was made.",
    "account_unlocked": "Staff let you try to sign in again.",
    "administrator_created": "Your administrator's account was made.",
    "api_key_created": "An API key was made.",
    "api_key_expiring": "An API key of a service client ends soon.",
    "api_key_revoked": "An API key was revoked.",
    "api_key_rotated": "An API key was replaced by a new one.",
    "authenticator_disabled": "A way of signing in was switched off after too many failures.",
    "client_changed": "Staff changed a service client.",
    "client_created": "A service client was made.",
    "client_refused": "A service client's credential was refused.",
    "consent_confirmed": "You confirmed an operation with a code.",
    "email_change_asked": "Another e-mail address was asked for.",
    "email_changed": "Your e-mail address was changed.",
    "email_given_up": "A message to you could not be sent.",
    "email_verified": "Your e-mail address was verified.",
    "email_withheld": "A message was held back, because too many were asked for.",
    "exchange_refused": "A service client was refused an operation token.",
    "executor_caps_set": "Staff changed what a service client may redeem at most.",
    "executor_started": "Staff let a service client redeem again.",
    "executor_stopped": "A service client was stopped: it redeems nothing.",
    "federation_refused": "A sign-in through another provider was refused.",
    "fields_resealed": "Stored secrets were sealed anew.",
    "group_changed": "Staff changed what a group may do.",
    "identity_linked": "Another provider was linked: it can sign you in.",
    "identity_unlinked": "Another provider was unlinked.",
    "ledger_loss_declared": "An operator declared what a restored ledger had lost.",
    "ledger_restored": "An operator restored from an export what a ledger had lost.",
    "occurrence_missed": "A run of an operation was due, and nothing came of it.",
    "operation_type_started": "Staff let operations of a type run again.",
    "operation_type_stopped": "Staff stopped every operation of a type.",
    "operations_issued_in_bulk": "An operator issued operation tokens from a file.",
    "password_changed": "Your password was changed.",
    "password_reset": "Your password was reset with a link.",
    "rate_limited": "Somebody asked too often.",
    "recovery_code_used": "A recovery code was used.",
    "recovery_codes_replaced": "New recovery codes were made; the former ones open nothing.",
    "refresh_refused": "A session's token was refused.",
    "refresh_replayed": "A session's token was used a second time, so the session was ended.",
    "registration_refused": "A registration was refused.",
    "reissued_token_fetched": "A trigger fetched an operation token that was signed anew.",
    "second_factor_refused": "A code was refused.",
    "session_ended": "A session was ended.",
    "sign_in_refused": "A sign-in was refused.",
    "signed_in": "Somebody signed in as you.",
    "signed_out_everywhere": "All sessions were ended.",
    "signing_key_compromised": "A signing key is believed no more: somebody else may have it.",
    "signing_key_retired": "A signing key signs no more.",
    "signing_keys_created": "New signing keys were made.",
    "stepped_up": "You showed again who you are.",
    "totp_confirmation_refused": "An authenticator app's code was refused.",
    "totp_disabled": "Your authenticator app was removed.",
    "totp_enabled": "An authenticator app was set up.",
    "users_seeded": "People were made for tests.",
}
OTHER = "Something happened to your account."

# What may be told of an event's data; the rest is for operators.
_TOLD = ("session", "api_key", "authenticator", "provider", "amr", "reason")


def describe_event(event: SecurityEvent) -> str:
    """Return one sentence for the person whose event it is."""
    return DESCRIPTIONS.get(event.code, OTHER)


def told_details(event: SecurityEvent) -> dict[str, Any]:
    """Return what its person may know of an event's particulars."""
    return {name: event.data[name] for name in _TOLD if name in event.data}


def is_by_its_person(event: SecurityEvent) -> bool:
    """Say whether nobody else did it; where staff sat when they did is theirs."""
    by = event.data.get("by")
    return by is None or (event.user is not None and by == event.user.public_id)
