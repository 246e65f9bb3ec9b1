"""The calls of an executor: what is sent, and how its answer is read; no I/O.

Whoever sends them does the rest: `client` for threads, `async_client` for event loops.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from batchtokens_verifier.errors import ProblemError
from batchtokens_verifier.redemptions import (
    Redemption,
    RedemptionRequest,
    RedemptionState,
    accepted,
    read_batch,
    read_redemption,
    read_state,
)
from batchtokens_verifier.transport import Answer, Request, check_url

MAX_BATCH_LINES = 5000
MAX_BATCH_ANSWER_BYTES = 32 * 2**20
BATCH_SECONDS = 120.0  # thousands of redemptions are decided before the first byte comes
NDJSON = "application/x-ndjson"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request, and what reads a successful answer to it."""

    request: Request
    read: Callable[[Answer], T]

    def result(self, answer: Answer) -> T:
        """Return what `answer` says.

        Raises the error that it names, AuthorityUnavailable where it is no whole one.
        """
        return self.read(accepted(answer))


@dataclass(frozen=True, slots=True)
class Calls:
    """Makes the calls to one authority. uri: of its redemptions."""

    uri: str

    @classmethod
    def to(cls, issuer: str) -> "Calls":
        """Return those to `issuer`. Raises ValueError where a secret would travel in the clear."""
        return cls(f"{check_url(issuer)}/api/v1/redemptions")

    def redeem(self, asked: RedemptionRequest) -> Call[Redemption]:
        """Ask for one slot."""
        headers = {"Idempotency-Key": asked.idempotency_key}
        request = _post(self.uri, asked.members(), headers)
        return Call(request, partial(read_redemption, asked=asked))

    def redeem_batch(
        self, asked: Sequence[RedemptionRequest]
    ) -> Call[list[Redemption | ProblemError]]:
        """Ask for many, one line each; each line gets its own verdict. Raises ValueError."""
        if not 0 < len(asked) <= MAX_BATCH_LINES:
            raise ValueError(f"a batch has 1 to {MAX_BATCH_LINES} redemptions")
        keys = {one.idempotency_key for one in asked}
        if len(keys) != len(asked):
            raise ValueError("each redemption of a batch has an Idempotency-Key of its own")
        lines = [{"idempotency_key": one.idempotency_key} | one.members() for one in asked]
        request = Request(
            "POST",
            f"{self.uri}/batch",
            headers={"Content-Type": NDJSON, "Accept": NDJSON},
            body=b"".join(_json(line) + b"\n" for line in lines),
            max_bytes=MAX_BATCH_ANSWER_BYTES,
            timeout=BATCH_SECONDS,
            deadline=BATCH_SECONDS,
        )
        return Call(request, partial(read_batch, asked=asked))

    def settle(self, redemption_id: str, attempt: int, reference: str | None) -> Call[None]:
        """Tell that the work is done."""
        body: dict[str, Any] = {"attempt": attempt}
        if reference is not None:
            body["reference"] = reference
        return Call(_post(f"{self._one(redemption_id)}/settle", body), _nothing)

    def release(self, redemption_id: str, attempt: int, reason: str) -> Call[None]:
        """Give a slot back."""
        body = {"attempt": attempt, "reason": reason}
        return Call(_post(f"{self._one(redemption_id)}/release", body), _nothing)

    def find(self, redemption_id: str) -> Call[RedemptionState]:
        """Ask what became of a redemption."""
        return Call(Request("GET", self._one(redemption_id)), read_state)

    def _one(self, redemption_id: str) -> str:
        return f"{self.uri}/{quote(redemption_id, safe='')}"


def _nothing(_: Answer) -> None:
    return None


def _post(url: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Request:
    sent = {"Content-Type": "application/json"} | dict(headers or {})
    return Request("POST", url, headers=sent, body=_json(body))


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
