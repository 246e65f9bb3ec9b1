"""Give a service client, or a person, one more key."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.crypto import secret_digest
from accounts.errors import AccountInactive, InvalidScope, TooManyApiKeys
from accounts.models import ApiKey, EmailKind, RequestContext, ServiceClient, User
from accounts.models.api_key import generate_api_key
from accounts.models.networks import parse_network
from accounts.scopes import USER_SCOPES
from accounts.services.lock_person import lock_person
from accounts.services.queue_email import queue_email
from accounts.services.record_event import NOWHERE, actor_data, record_event
from batchtokens_verifier.errors import FieldError, InvalidFieldsError

NAME_MAX_LENGTH = 100
MOST_NETWORKS = 20
MOST_KEYS = 50
"""Keys that one person may have at a time."""


class KeyTerms(NamedTuple):
    """What a key is called, what it opens, until when, and from where (nowhere named: anywhere)."""

    name: str
    scopes: Collection[str]
    expires_at: datetime | None = None
    networks: Collection[str] = ()


class NewApiKey(NamedTuple):
    """The row, and the key itself, which nobody can read again."""

    api_key: ApiKey
    text: str


def create_api_key(
    *,
    owner: ServiceClient | User,
    name: str,
    scopes: Collection[str] | None = None,
    at_most: Collection[str] | None = None,
    expires_at: datetime | None = None,
    networks: Collection[str] = (),
    by: User | None = None,
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> NewApiKey:
    """Make a key for some or all (None) of its owner's scopes; a person is told by e-mail.

    at_most: what the credential that asks for the key holds itself; no key opens more.
    Raises InvalidScope for a scope that the owner does not have, InvalidFieldsError,
    AccountInactive, TooManyApiKeys.
    """
    now = now or timezone.now()
    wanted = scopes_of(owner) if scopes is None else scopes
    check_reach(wanted, at_most)
    terms = check_terms(owner, KeyTerms(name, wanted, expires_at, networks), now)
    with transaction.atomic(durable=True):
        check_room(owner, now)
        new = add_api_key(owner, terms, now=now)
        tell_of_new_key(new.api_key, by=by, context=context, now=now)
    return new


def scopes_of(owner: ServiceClient | User) -> Collection[str]:
    """Say what a key of this owner may open at most; a meta-scope never."""
    return USER_SCOPES if isinstance(owner, User) else owner.scopes


def check_reach(scopes: Collection[str], at_most: Collection[str] | None) -> None:
    """Let nobody get a key that opens more than what they ask with, where that is limited.

    Raises InvalidScope.
    """
    if at_most is not None and not set(scopes) <= set(at_most):
        raise InvalidScope(
            "A key cannot open more than what it is asked for with.", pointer="/scopes"
        )


def check_terms(owner: ServiceClient | User, terms: KeyTerms, now: datetime) -> KeyTerms:
    """Return the terms as they are stored.

    Raises InvalidScope or InvalidFieldsError, with every member that is wrong.
    """
    if not set(terms.scopes) <= set(scopes_of(owner)):
        raise InvalidScope("A key cannot open more than its owner.", pointer="/scopes")
    errors = [*_errors_of_name(terms.name), *_errors_of_expiry(owner, terms.expires_at, now)]
    if isinstance(owner, User) and not terms.scopes:
        errors.append(FieldError("/scopes", "required", "Name what it is to open."))
    networks, refused = _read_networks(terms.networks)
    if errors := errors + refused:
        raise InvalidFieldsError(errors)
    return terms._replace(scopes=sorted(set(terms.scopes)), networks=networks)


def _errors_of_name(name: str) -> list[FieldError]:
    if name.strip() and name.isprintable() and len(name) <= NAME_MAX_LENGTH:
        return []
    detail = f"1 to {NAME_MAX_LENGTH} visible characters."
    return [FieldError("/name", "invalid", detail)]


def _errors_of_expiry(
    owner: ServiceClient | User, expires_at: datetime | None, now: datetime
) -> list[FieldError]:
    """Let a client's key live for ever, and no key of a person."""
    if expires_at is None:
        if isinstance(owner, ServiceClient):
            return []
        return [FieldError("/expires_at", "required", "Say when it expires.")]
    if expires_at <= now:
        return [FieldError("/expires_at", "invalid", "This is past.")]
    if isinstance(owner, User) and expires_at > now + settings.API_KEY_MAX_AGE:
        detail = f"A key lives at most {settings.API_KEY_MAX_AGE.days} days."
        return [FieldError("/expires_at", "too_late", detail)]
    return []


def _read_networks(texts: Collection[str]) -> tuple[list[str], list[FieldError]]:
    if len(texts) > MOST_NETWORKS:
        detail = f"At most {MOST_NETWORKS} networks."
        return [], [FieldError("/allowed_networks", "too_many", detail)]
    networks, errors = [], []
    for place, text in enumerate(texts):
        try:
            networks.append(parse_network(text))
        except ValueError:
            detail = "Use CIDR notation, such as 192.0.2.0/24 or 2001:db8::/32."
            errors.append(FieldError(f"/allowed_networks/{place}", "invalid", detail))
    return list(dict.fromkeys(networks)), errors


def check_room(owner: ServiceClient | User, now: datetime) -> None:
    """Count a person's keys under their row's lock: many requests at once make no more.

    Who freezes an account changes that row before its keys, so no key slips in between.
    Raises AccountInactive, TooManyApiKeys.
    """
    if isinstance(owner, ServiceClient):
        return
    if not lock_person(user=owner).is_active:
        raise AccountInactive
    if ApiKey.objects.for_user(owner).usable(now).count() >= MOST_KEYS:
        raise TooManyApiKeys


def add_api_key(owner: ServiceClient | User, terms: KeyTerms, *, now: datetime) -> NewApiKey:
    """Make a key inside the caller's transaction; its terms were checked."""
    parts = generate_api_key()
    api_key = ApiKey.objects.create(
        client=owner if isinstance(owner, ServiceClient) else None,
        user=owner if isinstance(owner, User) else None,
        identifier=parts.identifier,
        secret_digest=secret_digest(parts.text),
        last_four=parts.text[-4:],
        scopes=list(terms.scopes),
        name=terms.name,
        created_at=now,
        expires_at=terms.expires_at,
        allowed_networks=list(terms.networks),
    )
    return NewApiKey(api_key, parts.text)


def tell_of_new_key(
    api_key: ApiKey, *, by: User | None, context: RequestContext, now: datetime
) -> None:
    """Record a new key and, where it is a person's, write to them."""
    record_event(
        code="api_key_created",
        user=api_key.user,
        client=api_key.client,
        data={"api_key": api_key.public_id, "scopes": api_key.scopes, **actor_data(by)},
        context=context,
        now=now,
    )
    if api_key.user:
        data = {"api_key": api_key.public_id, "name": api_key.name}
        queue_email(kind=EmailKind.API_KEY_CREATED, user=api_key.user, data=data, context=context)
