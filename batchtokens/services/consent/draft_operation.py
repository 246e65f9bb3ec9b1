"""Draft an operation token: check what is asked for, fill in what is not, say it in a sentence.

Nothing is stored or signed here, and no cap is looked at.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from accounts.models import FIRST_PARTY
from batchtokens.errors import under
from batchtokens.models import OperationType
from batchtokens.services.consent.record_consent import mandate_digest
from batchtokens.services.operation_types.check_operation_type import SchemaRules
from batchtokens.services.operation_types.summarise import (
    describe_limits,
    describe_parties,
    summarise,
)
from batchtokens_verifier.canonical import MAX_SAFE_INTEGER, canonical_operation
from batchtokens_verifier.constraints import Amount, Constraints, format_instant, plan_slots
from batchtokens_verifier.errors import InvalidConstraints, InvalidOperation

LATEST_START = dt.timedelta(minutes=5)  # a given valid_from may be this old
LANGUAGE = "en"


@dataclass(frozen=True)
class Draft:
    """What will be signed: checked, but neither allowed by a cap nor stored.

    canonical: the operation in canonical form (RFC 8785).
    """

    operation_type: OperationType
    operation: dict[str, Any]
    canonical: bytes
    constraints: Constraints
    capacity: int
    amount: Amount | None
    summary: str

    @property
    def currency(self) -> str:
        limit = self.amount or self.constraints.max_individual_amount
        return limit.currency if limit else ""

    def granted(self) -> dict[str, Any]:
        """Return the authorization_details element, before it has an identifier."""
        kind = self.operation_type
        return {
            "type": kind.name,
            "actions": [kind.scope],
            "locations": [kind.executor.audience],
            "operation": self.operation,
            **self.constraints.as_json(),
        }

    def words(self, *, client_id: str) -> str:
        """Return all that a person reads who consents to this through `client_id`."""
        executor = self.operation_type.executor
        parties = describe_parties(
            client_id="" if client_id == FIRST_PARTY else client_id,
            executor=executor.client_id,
            audience=executor.audience or "",
        )
        return f"{self.summary} {parties}"

    def mandate_digest(self, *, sub: str, client_id: str) -> str:
        """Return the digest that a consent to this, by `sub` through `client_id`, is bound by."""
        return mandate_digest(self.granted(), sub=sub, client_id=client_id)


class Drafting:
    """Drafts at one instant; what many operations have in common is worked out once."""

    def __init__(self, at: dt.datetime) -> None:
        self._at = at
        self._rules: dict[uuid.UUID, SchemaRules] = {}
        self._limits: dict[Hashable, tuple[Constraints, int, str]] = {}

    def draft(
        self,
        operation_type: OperationType,
        *,
        operation: object,
        constraints: Mapping[str, Any],
        constraints_at: str = "",
        agreed_at: dt.datetime | None = None,
    ) -> Draft:
        """Check one as `draft_operation` does, and raise what it raises."""
        with under("/operation"):
            checked, canonical = self._check_operation(operation_type, operation)
        amount = Amount.parse(checked["amount"], "") if "amount" in checked else None
        with under(constraints_at):
            limits, capacity, clauses = self._parse(constraints, amount, agreed_at or self._at)
            if limits.valid_to > self._at + dt.timedelta(days=operation_type.max_lifetime_days):
                raise InvalidConstraints(
                    f"At most {operation_type.max_lifetime_days} days.", pointer="/valid_to"
                )
            _check_recordable(limits, amount, capacity)
        return Draft(
            operation_type=operation_type,
            operation=checked,
            canonical=canonical,
            constraints=limits,
            capacity=capacity,
            amount=amount,
            summary=summarise(operation_type, checked, clauses),
        )

    def _check_operation(
        self, kind: OperationType, operation: object
    ) -> tuple[dict[str, Any], bytes]:
        if kind.pk not in self._rules:
            self._rules[kind.pk] = SchemaRules(kind.schema)
        rules = self._rules[kind.pk]
        checked, canonical = canonical_operation(operation, known=rules.names)
        rules.check(checked)
        if checked["action"] != kind.scope:
            raise InvalidOperation("It is not the operation type's.", pointer="/action")
        return checked, canonical

    def _parse(
        self, constraints: Mapping[str, Any], amount: Amount | None, agreed_at: dt.datetime
    ) -> tuple[Constraints, int, str]:
        key = (repr(constraints), amount, agreed_at)
        if key not in self._limits:
            limits = _parse_constraints(constraints, amount, at=self._at, agreed_at=agreed_at)
            self._limits[key] = (limits, _capacity(limits), describe_limits(limits))
        return self._limits[key]


def draft_operation(
    operation_type: OperationType,
    *,
    operation: object,
    constraints: Mapping[str, Any],
    constraints_at: str = "",
    at: dt.datetime,
    agreed_at: dt.datetime | None = None,
) -> Draft:
    """Check an operation and its constraints against the type's version.

    agreed_at: when the person was shown it, which is where an absent valid_from begins.
    Raises InvalidOperation or InvalidConstraints; their pointers begin with /operation and
    `constraints_at`.
    """
    return Drafting(at).draft(
        operation_type,
        operation=operation,
        constraints=constraints,
        constraints_at=constraints_at,
        agreed_at=agreed_at,
    )


def _check_recordable(limits: Constraints, amount: Amount | None, capacity: int) -> None:
    """Refuse what could add up to more than a ledger entry can say (RFC 8785 §3.2.2.3)."""
    largest = amount or limits.max_individual_amount
    total = limits.max_total.minor if limits.max_total else MAX_SAFE_INTEGER + 1
    if largest and min(total, largest.minor * capacity) > MAX_SAFE_INTEGER:
        raise InvalidConstraints("The runs could add up to too much.", pointer="/max_total")


def _capacity(limits: Constraints) -> int:
    slots = plan_slots(limits).capacity
    return min(slots, limits.max_occurrences) if limits.max_occurrences else slots


def _parse_constraints(
    constraints: Mapping[str, Any],
    amount: Amount | None,
    *,
    at: dt.datetime,
    agreed_at: dt.datetime,
) -> Constraints:
    given = {"valid_from": format_instant(agreed_at), **constraints}
    limits = Constraints.parse(
        given, operation_amount=amount, allow_secondly=settings.ALLOW_SECONDLY_SCHEDULES
    )
    if limits.valid_from < agreed_at - LATEST_START:
        raise InvalidConstraints("It lies more than 5 minutes back.", pointer="/valid_from")
    if limits.valid_to <= at:
        raise InvalidConstraints("It lies in the past.", pointer="/valid_to")
    return limits
