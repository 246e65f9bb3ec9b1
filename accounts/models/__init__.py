"""The rows of accounts, one file a noun."""

from accounts.models.api_key import ApiKey
from accounts.models.assurance import Acr, Amr, acr_of
from accounts.models.authenticator import MOST_FAILURES, Authenticator, AuthenticatorKind
from accounts.models.client_assertion import ClientAssertion
from accounts.models.decision import Decision
from accounts.models.federation import FederatedIdentity, FederationRequest
from accounts.models.identified import IdentifiedModel
from accounts.models.one_time_link import LinkPurpose, OneTimeLink
from accounts.models.outgoing_email import EmailKind, OutgoingEmail
from accounts.models.rate_counter import RateCounter, RateUsage
from accounts.models.recovery_code import RecoveryCode
from accounts.models.security_event import Outcome, RequestContext, SecurityEvent
from accounts.models.service_client import ServiceClient
from accounts.models.session_family import FIRST_PARTY, EndReason, SessionFamily, SessionKind
from accounts.models.sign_in_challenge import SignInChallenge
from accounts.models.signing_key import SigningKey
from accounts.models.totp_device import TotpDevice
from accounts.models.user import User

__all__ = [
    "FIRST_PARTY",
    "MOST_FAILURES",
    "Acr",
    "Amr",
    "ApiKey",
    "Authenticator",
    "AuthenticatorKind",
    "ClientAssertion",
    "Decision",
    "EmailKind",
    "EndReason",
    "FederatedIdentity",
    "FederationRequest",
    "IdentifiedModel",
    "LinkPurpose",
    "OneTimeLink",
    "Outcome",
    "OutgoingEmail",
    "RateCounter",
    "RateUsage",
    "RecoveryCode",
    "RequestContext",
    "SecurityEvent",
    "ServiceClient",
    "SessionFamily",
    "SessionKind",
    "SignInChallenge",
    "SigningKey",
    "TotpDevice",
    "User",
    "acr_of",
]
