"""Spend a recovery code: a second factor for whoever has lost their authenticator app.

A code is 16 letters and digits of RFC 4648's base32, shown in groups of four.
"""

import re
import uuid
from datetime import datetime

from accounts.crypto import keyed_digests
from accounts.models import RecoveryCode, User

CODE_LENGTH = 16
ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")  # RFC 4648 section 6
# The alphabet leaves these three out: whoever types one has misread a letter.
_AS_READ = str.maketrans("018", "OIB")
_BETWEEN_GROUPS = re.compile(r"[\s\-\u2010-\u2015]+")  # phones make dashes of their own


def spend_recovery_code(*, user: User, code: str, now: datetime) -> bool:
    """Use a code up, in one statement; False for one that is wrong, used or somebody else's.

    The caller has claimed an attempt, records the event and tells the person.
    """
    normalised = normalise(code)
    if not looks_like_recovery_code(normalised):
        return False
    digests = recovery_digests(user.pk, normalised)
    return RecoveryCode.objects.spend(user_id=user.pk, digests=digests, now=now)


def normalise(code: str) -> str:
    """Write a code as it was drawn, however it was typed."""
    return without_gaps(code).upper().translate(_AS_READ)


def without_gaps(code: str) -> str:
    """Leave out what stands between groups, of an app's digits as well."""
    return _BETWEEN_GROUPS.sub("", code)


def looks_like_recovery_code(normalised: str) -> bool:
    """Say whether this could be a code at all."""
    return len(normalised) == CODE_LENGTH and ALPHABET.issuperset(normalised)


def recovery_digests(user_id: uuid.UUID, normalised: str) -> list[str]:
    """Return what a row would hold under each server key, the one that writes first."""
    value = f"{user_id}:{normalised}"
    return [digest.hex() for digest in keyed_digests("recovery code", value)]
