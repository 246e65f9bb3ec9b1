"""Accounts in Django's admin: what is appended is only read, and no secret is shown.

Nothing is deleted here; people and clients are disabled instead, so that what they did keeps
its name.
"""

from accounts.admin.clients import ApiKeyAdmin, ClientAssertionAdmin, ServiceClientAdmin
from accounts.admin.federation import FederatedIdentityAdmin, FederationRequestAdmin
from accounts.admin.groups import RightsAdmin
from accounts.admin.mail import OneTimeLinkAdmin, OutgoingEmailAdmin
from accounts.admin.people import AccountAdmin
from accounts.admin.records import RateCounterAdmin, SecurityEventAdmin
from accounts.admin.second_factor import AuthenticatorAdmin, RecoveryCodeAdmin, TotpDeviceAdmin
from accounts.admin.sessions import SessionFamilyAdmin
from accounts.admin.sign_in_challenges import SignInChallengeAdmin
from accounts.admin.signing_keys import SigningKeyAdmin

__all__ = [
    "AccountAdmin",
    "ApiKeyAdmin",
    "AuthenticatorAdmin",
    "ClientAssertionAdmin",
    "FederatedIdentityAdmin",
    "FederationRequestAdmin",
    "OneTimeLinkAdmin",
    "OutgoingEmailAdmin",
    "RateCounterAdmin",
    "RecoveryCodeAdmin",
    "RightsAdmin",
    "SecurityEventAdmin",
    "ServiceClientAdmin",
    "SessionFamilyAdmin",
    "SignInChallengeAdmin",
    "SigningKeyAdmin",
    "TotpDeviceAdmin",
]
