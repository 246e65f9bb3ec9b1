"""Every edit of an operation at one place is refused; another order of its members is no edit."""

from itertools import islice
from random import Random
from typing import Any

import pytest

from batchtokens_verifier.errors import OperationMismatch
from batchtokens_verifier.policy import (
    ExecutorPolicy,
    authenticate_operation_token,
    check_operation_copy,
    verify_operation_token,
)
from tests import edits
from tests.unit.verifier.minting import (
    AUDIENCE,
    ISSUER,
    KEYS,
    NOW,
    OPERATION,
    detail,
    digest_of,
    mint,
    operation_claims,
)

SEED = 20261122
MANY = 10_000
POLICY = ExecutorPolicy(ISSUER, AUDIENCE, frozenset({"savings.deposit"}))
# Every kind of value that an operation can have, on every level that it can have.
RICH: dict[str, Any] = {
    **OPERATION,
    "reference": "épargne n° 1 – été",
    "urgent": False,
    "notify": ["alice", "bob", ["1", "1.0"], {"by": "e-mail", "copy": True}],
    "limits": {"rate": "1", "spread": {"from": "0.10", "to": "0.20", "days": ["MO", "TU"]}},
}


def token_for(operation: dict[str, Any]) -> str:
    details = [detail(operation=operation)]
    claims = operation_claims(authorization_details=details, parameter_digest=digest_of(operation))
    return mint(claims)


@pytest.mark.slow
def test_each_of_10000_edits_is_refused() -> None:
    claims = authenticate_operation_token(
        token_for(RICH), keys=KEYS, issuer=ISSUER, audience=AUDIENCE, now=NOW
    )

    let_through, refused = [], 0
    for edited in islice(edits.edits(RICH, seed=SEED), MANY):
        try:
            check_operation_copy(claims, edited)
            let_through.append(edited)
        except OperationMismatch:
            refused += 1

    print(f"seed {SEED}: {refused} edits refused")
    assert let_through == []
    assert refused == MANY


@pytest.mark.slow
def test_the_verifier_refuses_edits_of_a_signed_operation() -> None:
    token = token_for(RICH)

    # To leave the copy out is no edit: then there is nothing to compare.
    copies = (edited for edited in edits.edits(RICH, seed=SEED + 1) if edited is not None)
    for edited in islice(copies, 1000):
        with pytest.raises(OperationMismatch):
            verify_operation_token(token, keys=KEYS, policy=POLICY, now=NOW, operation=edited)


def shuffled(value: Any, random: Random) -> Any:
    """Return the same JSON with the members of each object in another order."""
    if isinstance(value, list):
        return [shuffled(item, random) for item in value]
    if not isinstance(value, dict):
        return value
    names = random.sample(list(value), len(value))
    return {name: shuffled(value[name], random) for name in names}


def test_members_in_another_order_are_the_same_operation() -> None:
    token, random = token_for(RICH), Random(SEED)

    for _ in range(100):
        copy = shuffled(RICH, random)
        verdict = verify_operation_token(token, keys=KEYS, policy=POLICY, now=NOW, operation=copy)
        assert verdict.claims.operation == RICH
