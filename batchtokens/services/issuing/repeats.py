"""Give a repeated request the answer of the first: one key, one body, one operation token."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from batchtokens.errors import LedgerBehind
from batchtokens.models import OperationToken
from batchtokens.services.digests import text_digest
from batchtokens_verifier.errors import IdempotencyMismatch, ProblemError

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class RequestDigests:
    """What tells a repeated request: its sender's key, and the body that must be the same.

    key: None where the sender gave none; then every request is a new one.
    """

    key: str | None
    body: str

    def earlier(self) -> OperationToken | None:
        """Return what was issued under the key already, whatever its body was."""
        if self.key is None:
            return None
        return OperationToken.objects.filter(idempotency_digest=self.key).first()

    def check_same(self, earlier: OperationToken) -> None:
        """Raise IdempotencyMismatch where the key has bought something else."""
        if earlier.request_digest != self.body:
            raise IdempotencyMismatch


def request_digests(
    *body: str | Mapping[str, Any], consent_id: str | None, sender: str, idempotency_key: str
) -> RequestDigests:
    """Return the digests of what is asked for, and of a key that is the sender's alone."""
    members = body if consent_id is None else (*body, consent_id)
    return RequestDigests(
        key=text_digest(f"{sender}|{idempotency_key}") if idempotency_key else None,
        body=text_digest(json.dumps(members, sort_keys=True)),
    )


def issue_once(
    digests: RequestDigests,
    *,
    issue: Callable[[], Answer],
    repeat: Callable[[OperationToken], Answer],
) -> Answer:
    """Issue; or repeat what the same request got, although it would be refused by now.

    Its sign-in may be too old since, its subject token over, a cap reached.
    Raises what `issue` and `repeat` raise.
    """
    try:
        return issue()
    except LedgerBehind:  # nor is it known then what became of the first one
        raise
    except ProblemError:
        if (earlier := digests.earlier()) is None:
            raise
        return repeat(earlier)
