"""Begin to set an authenticator app up: what its person scans or types.

It opens nothing before a code of it was shown (`confirm_totp`).
"""

import base64
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote, urlencode, urlsplit

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.errors import TotpAlreadyOn
from accounts.models import AuthenticatorKind, TotpDevice, User
from accounts.models.totp_device import DIGITS, KEY_BYTES, STEP
from accounts.services.claim_attempt import forgive_attempts
from accounts.services.draw_qr_code import draw_qr_code
from accounts.services.lock_person import lock_person

GROUP = 4


@dataclass(frozen=True, slots=True)
class TotpSetup:
    """What is shown once.  secret: base32 in groups of four; qr_svg: the URI as an <svg>."""

    uri: str = field(repr=False)
    secret: str = field(repr=False)
    qr_svg: str = field(repr=False)


def begin_totp(*, by: User, now: datetime | None = None) -> TotpSetup:
    """Draw a new key; the one that was being set up before opens nothing any more.

    Raises TotpAlreadyOn.
    """
    key = secrets.token_bytes(KEY_BYTES)
    with transaction.atomic(durable=True):
        lock_person(user=by)
        if TotpDevice.objects.is_on_for(by.pk):
            raise TotpAlreadyOn
        TotpDevice.objects.unconfirmed().filter(user=by).delete()
        device = TotpDevice(user=by, created_at=now or timezone.now())
        device.set_key(key)
        device.save(force_insert=True)
        # Nothing is on that could be guessed, and nobody has failed at this key yet.
        forgive_attempts(user=by, kind=AuthenticatorKind.SECOND_FACTOR)
    secret = base64.b32encode(key).decode()
    uri = provisioning_uri(secret, account=by.username)
    return TotpSetup(uri=uri, secret=in_groups(secret, " "), qr_svg=draw_qr_code(uri))


def provisioning_uri(secret: str, *, account: str) -> str:
    """Write what authenticator apps scan ("Key Uri Format", google-authenticator wiki).

    The issuer is this service's host: it tells one installation from another.
    """
    # Neither part of the label may hold a colon, and an IPv6 address does.
    issuer = (urlsplit(settings.ISSUER_URL).hostname or "").replace(":", ".")
    label = f"{quote(issuer, safe='')}:{quote(account, safe='')}"
    asked = {
        "secret": secret,
        "issuer": issuer,
        "algorithm": "SHA1",
        "digits": DIGITS,
        "period": STEP,
    }
    return f"otpauth://totp/{label}?{urlencode(asked, quote_via=quote)}"


def in_groups(text: str, between: str) -> str:
    """Write a long code so that it can be read aloud."""
    return between.join(text[at : at + GROUP] for at in range(0, len(text), GROUP))
