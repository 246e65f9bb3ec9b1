"""Create an operation type, or its next version: one that was shown or has issued never changes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import Acr, ServiceClient
from accounts.scopes import REDEEM, SCOPES, TOKEN_EXCHANGE
from batchtokens.errors import OperationTypeNotValid
from batchtokens.models import Consent, ConsentMode, OperationToken, OperationType
from batchtokens.services.operation_types.check_operation_type import check_schema, check_template
from batchtokens.services.status.status_places import ensure_list
from batchtokens_verifier.constraints import Amount

SCOPE_NAME = re.compile(r"[a-z][a-z0-9_.:-]{0,79}")
# The wire format ends at a year; the others are what every database's integer holds.
MOST = {
    "max_lifetime_days": 366,
    "max_live_mandates": 2**31 - 1,
    "max_authentication_age": 2**31 - 1,
}
REQUIRED = frozenset({"name", "meta_scope", "scope", "executor", "schema", "summary"})
OPTIONAL = frozenset(
    {
        "trigger_clients",
        "consent",
        "max_lifetime_days",
        "max_live_mandates",
        "max_total",
        "max_authentication_age",
        "required_acr",
    }
)


def create_operation_type(*, definition: Mapping[str, Any]) -> OperationType:
    """Create or update by name; the same definition again changes nothing.

    Raises OperationTypeNotValid with the pointer of the offending member.
    """
    _check_members(definition)
    check_schema(definition["schema"])
    check_template(definition["summary"], definition["schema"])
    with transaction.atomic(durable=True):
        values = _values(definition)
        triggers = [
            _client(name, f"/trigger_clients/{position}", TOKEN_EXCHANGE)
            for position, name in enumerate(definition.get("trigger_clients", []))
        ]
        current = (
            OperationType.objects.current()
            .select_for_update()
            .filter(name=definition["name"])
            .first()
        )
        kind = _store(current, definition["name"], values)
        kind.trigger_clients.set(triggers)
        ensure_list(kind.executor.pk)
        return kind


def _check_members(definition: Mapping[str, Any]) -> None:
    if missing := sorted(REQUIRED - definition.keys()):
        raise OperationTypeNotValid(f"It lacks: {', '.join(missing)}.", pointer=f"/{missing[0]}")
    if unknown := sorted(definition.keys() - REQUIRED - OPTIONAL):
        raise OperationTypeNotValid(f"Unknown: {', '.join(unknown)}.", pointer=f"/{unknown[0]}")
    for name in ("name", "meta_scope", "scope", "executor", "summary"):
        if not isinstance(definition[name], str) or not definition[name]:
            raise OperationTypeNotValid("A text is needed.", pointer=f"/{name}")
    _check_options(definition)
    _check_words(definition)


def _check_options(definition: Mapping[str, Any]) -> None:
    if definition.get("consent", ConsentMode.EXACT) not in list(ConsentMode):
        raise OperationTypeNotValid("One of exact (the default) or scope.", pointer="/consent")
    for name, most in MOST.items():
        value = definition.get(name, 1)
        if type(value) is not int or not 1 <= value <= most:
            raise OperationTypeNotValid(f"A whole number, 1 to {most}.", pointer=f"/{name}")
    if definition.get("required_acr", Acr.ONE_FACTOR) not in list(Acr):
        levels = " or ".join(Acr)
        raise OperationTypeNotValid(f"One of {levels}.", pointer="/required_acr")
    triggers = definition.get("trigger_clients", [])
    if not isinstance(triggers, list) or not all(isinstance(name, str) for name in triggers):
        raise OperationTypeNotValid("A list of client names is needed.", pointer="/trigger_clients")


def _check_words(definition: Mapping[str, Any]) -> None:
    for name in ("meta_scope", "scope"):
        if not SCOPE_NAME.fullmatch(definition[name]) or definition[name] in SCOPES:
            raise OperationTypeNotValid("A scope name that is not taken.", pointer=f"/{name}")
    if definition["scope"] == definition["meta_scope"]:
        raise OperationTypeNotValid("It is the meta-scope, too.", pointer="/scope")
    if not definition["summary"].isprintable():
        raise OperationTypeNotValid("One line of visible characters.", pointer="/summary")


def _values(definition: Mapping[str, Any]) -> dict[str, Any]:
    executor = _client(definition["executor"], "/executor", REDEEM)
    if not executor.audience:
        raise OperationTypeNotValid("The executor has no audience.", pointer="/executor")
    total = definition.get("max_total")
    cap = Amount.parse(total, "/max_total") if total is not None else None
    return {
        "meta_scope": definition["meta_scope"],
        "scope": definition["scope"],
        "executor": executor,
        "consent": definition.get("consent", ConsentMode.EXACT),
        "schema": definition["schema"],
        "summary_template": definition["summary"],
        "max_lifetime_days": definition.get("max_lifetime_days", 366),
        "max_live_mandates": definition.get("max_live_mandates"),
        "max_total_minor": cap.minor if cap else None,
        "max_total_currency": cap.currency if cap else "",
        "max_authentication_age": definition.get("max_authentication_age"),
        "required_acr": definition.get("required_acr", ""),
    }


def _client(name: str, pointer: str, scope: str) -> ServiceClient:
    client = ServiceClient.objects.filter(client_id=name).first()
    if client is None:
        raise OperationTypeNotValid(f"There is no service client {name}.", pointer=pointer)
    if scope not in client.scopes:
        raise OperationTypeNotValid(f"{name} lacks the scope {scope}.", pointer=pointer)
    return client


def _store(current: OperationType | None, name: str, values: dict[str, Any]) -> OperationType:
    if current is None:
        return _create(OperationType(name=name, **values))
    if all(getattr(current, field) == value for field, value in values.items()):
        return current
    if _was_used(current):
        OperationType.objects.filter(pk=current.pk).update(is_current=False)
        version = current.version + 1
        return _create(
            OperationType(name=name, version=version, is_active=current.is_active, **values)
        )
    for field, value in values.items():
        setattr(current, field, value)
    return _create(current)


def _was_used(current: OperationType) -> bool:
    """Say whether a token is of this version, or somebody was shown its sentence."""
    tokens = OperationToken.objects.filter(operation_type=current)
    return tokens.exists() or Consent.objects.filter(operation_type=current).exists()


def _create(kind: OperationType) -> OperationType:
    try:
        kind.full_clean(exclude=["schema"])
    except ValidationError as error:
        name, texts = next(iter(error.message_dict.items()))
        raise OperationTypeNotValid(texts[0], pointer=f"/{name}") from error
    kind.save()
    return kind
