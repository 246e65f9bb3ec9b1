"""Draw the links that e-mails carry, and use them up (docs/adr/0013)."""

import secrets
from collections.abc import Collection
from datetime import datetime, timedelta

from accounts.crypto import secret_digest
from accounts.models import LinkPurpose, OneTimeLink, User
from accounts.services.lock_person import lock_person

TOKEN_BYTES = 32
LIFETIMES = {
    LinkPurpose.VERIFY_EMAIL: timedelta(days=1),
    LinkPurpose.CHANGE_EMAIL: timedelta(days=1),
    LinkPurpose.RESET_PASSWORD: timedelta(minutes=30),
    LinkPurpose.NOT_ME: timedelta(days=7),
}


def draw_link(*, purpose: LinkPurpose, user: User, email: str, told_in: int, now: datetime) -> str:
    """Store a link's digest and return its token, which nobody can read again."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    OneTimeLink.objects.create(
        token_digest=secret_digest(token),
        purpose=purpose,
        user=user,
        email=email,
        told_in=told_in,
        created_at=now,
        expires_at=now + LIFETIMES[purpose],
    )
    return token


def find_link(*, purpose: LinkPurpose, token: str, now: datetime) -> OneTimeLink | None:
    """Look at a link that still opens something, without using it up."""
    same = OneTimeLink.objects.usable(now).filter(
        purpose=purpose, token_digest=secret_digest(token)
    )
    return same.select_related("user").first()


def spend_link(*, purpose: LinkPurpose, token: str, now: datetime) -> OneTimeLink | None:
    """Use a link up inside the caller's transaction; None if it opens nothing, or not any more.

    Its person's row is locked first, as everybody does who changes an account: else one who holds
    a link and waits for the person meets one who holds the person and waits for the link.
    """
    link = find_link(purpose=purpose, token=token, now=now)
    if link is None:
        return None
    user = lock_person(user=link.user)
    if not OneTimeLink.objects.spend(purpose=purpose, digest=link.token_digest, now=now):
        return None
    link.user = user
    return link


def void_links(*, user: User, purposes: Collection[LinkPurpose], now: datetime) -> None:
    """Let a person's links of these purposes open nothing any more."""
    OneTimeLink.objects.usable(now).filter(user=user, purpose__in=purposes).update(used_at=now)
