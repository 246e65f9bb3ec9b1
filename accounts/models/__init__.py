"""The rows of accounts, one file a noun."""

from accounts.models.api_key import ApiKey
from accounts.models.identified import IdentifiedModel
from accounts.models.rate_counter import RateCounter
from accounts.models.security_event import Outcome, RequestContext, SecurityEvent
from accounts.models.service_client import ServiceClient
from accounts.models.session_family import FIRST_PARTY, EndReason, SessionFamily, SessionKind
from accounts.models.signing_key import SigningKey
from accounts.models.user import User

__all__ = [
    "FIRST_PARTY",
    "ApiKey",
    "EndReason",
    "IdentifiedModel",
    "Outcome",
    "RateCounter",
    "RequestContext",
    "SecurityEvent",
    "ServiceClient",
    "SessionFamily",
    "SessionKind",
    "SigningKey",
    "User",
]
