"""People, machines and tokens for tests.  Alice owns, Bob is a peer, Charlie is outside."""

import base64
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.utils import timezone
from django_otp.oath import totp

from accounts.crypto import secret_digest
from accounts.models import (
    ApiKey,
    RecoveryCode,
    ServiceClient,
    SessionFamily,
    SessionKind,
    TotpDevice,
    User,
    acr_of,
)
from accounts.scopes import DEFAULT_SCOPE
from accounts.services.create_service_client import NewServiceClient, create_service_client
from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.services.spend_recovery_code import normalise, recovery_digests
from accounts.tokens.marks import new_jti
from accounts.tokens.pair import TokenPair, sign_pair

PASSWORD = "a long enough passphrase"
TOTP_KEY = b"12345678901234567890"  # RFC 6238, appendix B
RECOVERY_CODE = "ABCD-EFGH-IJKL-MN23"


def user(
    username: str, *, email: str = "", may_ask_for: Collection[str] = (), **fields: Any
) -> User:
    """Store a person whose password is PASSWORD, and let them ask for these meta-scopes."""
    address = email or f"{username}@example.org"
    person = User.objects.create_user(username, address, PASSWORD, **fields)
    for scope in may_ask_for:
        person.groups.add(Group.objects.get_or_create(name=scope)[0])
    return person


def alice(**fields: Any) -> User:
    return user("alice", **fields)


def bob(**fields: Any) -> User:
    return user("bob", **fields)


def charlie() -> User:
    return user("charlie")


def staff(username: str = "staff") -> User:
    return user(username, is_staff=True, is_superuser=True)


def totp_device(person: User) -> tuple[TotpDevice, Callable[..., str]]:
    """Give a person an authenticator app; `code(steps)` is what it shows, so many steps from now.

    No test opens twice with one step: `code()` may be used once in 30 s, `code(1)` after it.
    """
    device = TotpDevice(user=person, confirmed=True, confirmed_at=timezone.now())
    device.set_key(TOTP_KEY)
    device.save()

    def code(steps: int = 0) -> str:
        return f"{totp(TOTP_KEY, drift=steps):06}"

    return device, code


def recovery_code(person: User, code: str = RECOVERY_CODE) -> str:
    """Give a person this recovery code; it opens only where there is an app, too."""
    RecoveryCode.objects.create(user=person, digest=recovery_digests(person.pk, normalise(code))[0])
    return code


def service_client(
    client_id: str = "gateway",
    *,
    scopes: Collection[str] = (),
    audience: str | None = None,
    delivery_url: str = "",
) -> NewServiceClient:
    """Store a client whose secret was used just now, so that no test counts the noting of it."""
    new = create_service_client(
        client_id=client_id, scopes=scopes, audience=audience, delivery_url=delivery_url
    )
    ApiKey.objects.filter(client=new.client).update(last_used_at=timezone.now())
    return new


def session_family(
    person: User,
    *,
    scope: str = DEFAULT_SCOPE,
    audience: str | None = None,
    ago: timedelta = timedelta(0),
    amr: Sequence[str] = ("pwd",),
) -> tuple[SessionFamily, TokenPair]:
    """Sign a person in, some time ago, without asking for their factors or their groups."""
    ensure_signing_keys()
    now, jti = timezone.now(), new_jti()
    family = SessionFamily.objects.create(
        user=person,
        kind=SessionKind.MOBILE,
        audience=audience or settings.ISSUER_URL,
        scope=scope,
        auth_time=now - ago,
        acr=acr_of(list(amr)),
        amr=list(amr),
        created_at=now - ago,
        expires_at=now + timedelta(days=90),
        current_jti_digest=secret_digest(jti),
    )
    return family, sign_pair(family, refresh_jti=jti, refresh_issued_at=now, now=now)


def access_token_for(person: User, **how: Any) -> str:
    """Sign an access token for a person, in a session of its own (see `session_family`)."""
    return session_family(person, **how)[1].access


def basic(client: ServiceClient, secret: str) -> dict[str, str]:
    """Write the header of HTTP Basic (RFC 7617), as Django's test client takes headers."""
    credentials = base64.b64encode(f"{client.client_id}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {credentials}"}


def bearer(token: str) -> dict[str, str]:
    """Write the header of a bearer token (RFC 6750 section 2.1)."""
    return {"Authorization": f"Bearer {token}"}
