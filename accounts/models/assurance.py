"""How sure a sign-in is: `acr` names a NIST SP 800-63B level, `amr` lists RFC 8176's words."""

from enum import StrEnum


class Acr(StrEnum):
    """Authentication context class references, weakest first."""

    ONE_FACTOR = "aal1"
    TWO_FACTORS = "aal2"


class Amr(StrEnum):
    """Authentication method references."""

    PASSWORD = "pwd"
    OTP = "otp"
    RECOVERY_CODE = "rc"  # not in RFC 8176, which has no word for look-up secrets
    FEDERATED = "fed"  # nor for somebody else's word
    SEVERAL = "mfa"


def acr_of(amr: list[str]) -> Acr:
    """Say which level these methods reach."""
    return Acr.TWO_FACTORS if Amr.SEVERAL in amr else Acr.ONE_FACTOR
