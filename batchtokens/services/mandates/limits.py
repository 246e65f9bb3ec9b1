"""The limits of an operation token: as they were signed, and as the person lowered them since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from batchtokens.models import OperationToken
from batchtokens_verifier.constraints import Amount, Constraints
from batchtokens_verifier.constraints.terms import CONSTRAINT_MEMBERS


def signed_limits(token: OperationToken) -> Constraints:
    """Read the constraints as they were signed."""
    minor = token.amount_minor
    return Constraints.parse(
        {name: token.details[name] for name in CONSTRAINT_MEMBERS if name in token.details},
        operation_amount=None if minor is None else Amount(minor, token.currency),
        allow_secondly=True,  # it was signed
    )


def effective_limits(signed: Constraints, lowered: Mapping[str, Any]) -> Constraints:
    """Return the signed limits with what the person lowered (`OperationToken.lowered`) in place.

    For sums, counts and amounts alone: slots always follow from what was signed.
    """
    if not lowered:
        return signed
    names = {"max_individual_amount", "max_total"} & lowered.keys()
    changed: dict[str, Any] = {name: Amount.parse(lowered[name], f"/{name}") for name in names}
    if "max_occurrences" in lowered:
        changed["max_occurrences"] = lowered["max_occurrences"]
    return replace(signed, **changed)


def has_room(token: OperationToken, limits: Constraints, *, count: int, minor: int) -> bool:
    """Say whether the smallest run that there is fits beside `count` taken ones of `minor` in all.

    limits: the effective ones, of which those of periods are left out.
    """
    least = token.amount_minor or 1
    most, total, runs = limits.max_individual_amount, limits.max_total, limits.max_occurrences
    return (
        (most is None or least <= most.minor)
        and (total is None or minor + least <= total.minor)
        and (runs is None or count < runs)
    )


def can_run_out(token: OperationToken, signed: Constraints) -> bool:
    """Say whether a run may ever be without room: most mandates have some for each of theirs."""
    if token.lowered or signed.max_total is None:
        return bool(token.lowered)
    fixed = token.amount_minor
    return fixed is None or fixed * token.max_occurrences > signed.max_total.minor
