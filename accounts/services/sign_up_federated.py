"""Make an account for somebody whom a provider vouches for, where the operator lets it."""

import secrets
from datetime import datetime

from django.db import IntegrityError, transaction

from accounts.errors import IdentityNotLinked
from accounts.federation.identities import Identity
from accounts.federation.providers import Provider
from accounts.models import RequestContext, User
from accounts.models.folded import nfkc
from accounts.services.check_email import check_email
from accounts.services.link_identity import add_identity
from accounts.services.record_event import count_refusal, record_event

NAME_LENGTH = 40
MARK_DIGITS = 6
TRIES = 5


def sign_up_federated(
    *, identity: Identity, provider: Provider, context: RequestContext, now: datetime
) -> User:
    """Store a person without a password, and their identity.

    Raises IdentityNotLinked, in one voice, if the provider may not, has verified no address, or
    the address is an account's already: who has one is nobody's business.
    """
    reason = _objection(identity, provider)
    user = None if reason else _store(identity, provider, context, now)
    if user is None:
        count_refusal(
            code="federation_refused", reason=reason or "account_exists", context=context, now=now
        )
        raise IdentityNotLinked
    return user


def _objection(identity: Identity, provider: Provider) -> str:
    if not provider.sign_up:
        return "unknown_identity"
    if not identity.email_verified or check_email(identity.email):
        return "no_verified_email"
    return ""


def _store(
    identity: Identity, provider: Provider, context: RequestContext, now: datetime
) -> User | None:
    """Store both, or neither and return None: the constraints decide, whoever comes at once."""
    for username in _usernames(identity):
        user = User(username=username, email=identity.email, email_verified_at=now)
        user.set_unusable_password()
        try:
            with transaction.atomic(durable=True):
                user.save(force_insert=True)
                data = {"provider": provider.name}
                record_event(
                    code="account_registered", user=user, data=data, context=context, now=now
                )
                add_identity(
                    user=user, identity=identity, provider=provider, context=context, now=now
                )
        except IntegrityError:
            if User.objects.filter(email_folded=identity.email).exists():
                return None
            continue
        return user
    return None


def _usernames(identity: Identity) -> list[str]:
    """Derive names to try: letters and digits alone, then with a mark that nobody else has."""
    local = identity.email.partition("@")[0]
    letters = "".join(filter(str.isalnum, nfkc(identity.name or local)))[:NAME_LENGTH]
    base = letters if nfkc(letters).isalnum() else "user"
    marks = ["", *(str(secrets.randbelow(10**MARK_DIGITS)) for _ in range(TRIES - 1))]
    return [base + mark for mark in marks]
