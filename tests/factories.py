"""People, machines and tokens for tests.  Alice owns, Bob is a peer, Charlie is outside."""

import base64
from collections.abc import Collection
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import Group
from django.utils import timezone

from accounts.crypto import secret_digest
from accounts.models import ApiKey, ServiceClient, SessionFamily, SessionKind, User
from accounts.scopes import DEFAULT_SCOPE
from accounts.services.create_service_client import NewServiceClient, create_service_client
from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.tokens.marks import new_jti
from accounts.tokens.pair import TokenPair, sign_pair

PASSWORD = "a long enough passphrase"


def user(
    username: str, *, email: str = "", may_ask_for: Collection[str] = (), **fields: bool
) -> User:
    """Store a person whose password is PASSWORD, and let them ask for these meta-scopes."""
    address = email or f"{username}@example.org"
    person = User.objects.create_user(username, address, PASSWORD, **fields)
    for scope in may_ask_for:
        person.groups.add(Group.objects.get_or_create(name=scope)[0])
    return person


def alice(*, may_ask_for: Collection[str] = ()) -> User:
    return user("alice", may_ask_for=may_ask_for)


def bob(*, may_ask_for: Collection[str] = ()) -> User:
    return user("bob", may_ask_for=may_ask_for)


def charlie() -> User:
    return user("charlie")


def staff(username: str = "staff") -> User:
    return user(username, is_staff=True, is_superuser=True)


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
    person: User, *, scope: str = DEFAULT_SCOPE, audience: str | None = None
) -> tuple[SessionFamily, TokenPair]:
    """Sign a person in without asking for their password or their groups."""
    ensure_signing_keys()
    now, jti = timezone.now(), new_jti()
    family = SessionFamily.objects.create(
        user=person,
        kind=SessionKind.MOBILE,
        audience=audience or settings.ISSUER_URL,
        scope=scope,
        auth_time=now,
        acr="aal1",
        amr=["pwd"],
        created_at=now,
        expires_at=now + timedelta(days=90),
        current_jti_digest=secret_digest(jti),
    )
    return family, sign_pair(family, refresh_jti=jti, refresh_issued_at=now, now=now)


def access_token_for(
    person: User, *, scope: str = DEFAULT_SCOPE, audience: str | None = None
) -> str:
    """Sign an access token for a person, in a session of its own."""
    return session_family(person, scope=scope, audience=audience)[1].access


def basic(client: ServiceClient, secret: str) -> dict[str, str]:
    """Write the header of HTTP Basic (RFC 7617), as Django's test client takes headers."""
    credentials = base64.b64encode(f"{client.client_id}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {credentials}"}


def bearer(token: str) -> dict[str, str]:
    """Write the header of a bearer token (RFC 6750 section 2.1)."""
    return {"Authorization": f"Bearer {token}"}
