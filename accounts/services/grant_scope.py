"""Decide what a person's tokens open."""

from django.conf import settings
from django.contrib.auth.models import Group
from django.db.models import Exists, Model, OuterRef

from accounts.errors import InvalidScope
from accounts.models import User
from accounts.scopes import (
    DEFAULT_SCOPE,
    PROFILE,
    USER_SCOPES,
    format_scope,
    meta_scopes,
    parse_scope,
)


def check_scope(asked: str) -> frozenset[str]:
    """Read what was asked for, before anybody is known.

    Raises InvalidScope for what no person can have.
    """
    names = parse_scope(asked)
    beyond = names - USER_SCOPES.keys()
    if beyond and not beyond <= meta_scopes().keys():
        raise InvalidScope(pointer="/scope")
    return names


def grant_scope(*, user: User, asked: frozenset[str]) -> frozenset[str]:
    """Grant the default, or what was asked for.

    A token for a meta-scope leaves the person's own apps, so it writes nothing to the account:
    it holds the meta-scopes and `profile`, whatever else was asked.
    Raises InvalidScope for a meta-scope that is not this person's.
    """
    if not asked:
        return parse_scope(DEFAULT_SCOPE)
    wanted = asked - USER_SCOPES.keys()
    if not wanted:
        return asked
    if not wanted <= allowed_meta_scopes(user=user, among=wanted):
        raise InvalidScope(pointer="/scope")
    return wanted | {PROFILE}


def keep_scope(*, user: User, granted: str) -> str:
    """Take out of a session's scope the meta-scopes that are no longer this person's.

    A session without any spends no statement.
    """
    names = parse_scope(granted)
    metas = names - USER_SCOPES.keys()
    if not metas:
        return granted
    return format_scope(names - metas | allowed_meta_scopes(user=user, among=metas))


def held_scopes(granted: frozenset[str]) -> dict[str, Exists]:
    """Return annotations for rows of a `user`: whether each meta-scope is theirs still.

    For the statement that reads the row anyway; `without_lost` reads them.
    """
    if settings.ENVIRONMENT == "development":
        return {}
    groups = Group.objects.filter(user=OuterRef("user"))
    metas = enumerate(sorted(granted - USER_SCOPES.keys()))
    return {f"holds_{number}": Exists(groups.filter(name=meta)) for number, meta in metas}


def without_lost(granted: frozenset[str], row: Model) -> frozenset[str]:
    """Take out the meta-scopes that the annotations of `held_scopes` say are lost."""
    metas = enumerate(sorted(granted - USER_SCOPES.keys()))
    return granted - {meta for number, meta in metas if not getattr(row, f"holds_{number}", True)}


def narrow_scope(*, granted: str, asked: frozenset[str]) -> str:
    """Narrow a session's scope for one access token (RFC 6749 section 6); all of it by default.

    Raises InvalidScope for what the session was not granted, or has no longer.
    """
    if not asked:
        return granted
    if not asked <= parse_scope(granted):
        raise InvalidScope(pointer="/scope")
    return format_scope(asked)


def askable_scopes(*, user: User) -> dict[str, str]:
    """Return what a person may ask for when they sign in, name to description."""
    metas = meta_scopes()
    allowed = allowed_meta_scopes(user=user, among=frozenset(metas)) if metas else frozenset()
    return USER_SCOPES | {name: metas[name] for name in sorted(allowed)}


def allowed_meta_scopes(*, user: User, among: frozenset[str]) -> frozenset[str]:
    """Say which meta-scopes a person may ask for: those that a group of theirs is named after.

    In development everybody may ask for all.
    """
    if settings.ENVIRONMENT == "development":
        return among
    return frozenset(user.groups.filter(name__in=among).values_list("name", flat=True))
