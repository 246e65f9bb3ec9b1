"""Redeems, settles and releases at the authority, as the executor that a token names.

Retrying with the same Idempotency-Key is safe and gets the same answer; what permits the work is
`proceed`, and what makes it single is the redemption id stored with its effect.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeVar

import httpx

from batchtokens_verifier.calls import Call, Calls
from batchtokens_verifier.constraints import Amount
from batchtokens_verifier.deliveries import Delivery, verify_delivery
from batchtokens_verifier.errors import AuthorityUnavailable, ProblemError
from batchtokens_verifier.jwks import JwksCache
from batchtokens_verifier.redemptions import (
    Redemption,
    RedemptionRequest,
    RedemptionState,
)
from batchtokens_verifier.retries import NO_RETRIES, Retries, pause_after
from batchtokens_verifier.transport import exchange

__all__ = [
    "Delivery",
    "ExecutorClient",
    "JwksCache",
    "Redemption",
    "RedemptionRequest",
    "RedemptionState",
    "Retries",
    "verify_delivery",
]

T = TypeVar("T")


class ExecutorClient:
    """Speaks to one authority as one service client; safe to share between threads.

    http: a client to use instead of an own one: for proxies, a private CA, or tests.
    retries: of calls that got no answer; none unless given.
    """

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str,
        *,
        http: httpx.Client | None = None,
        retries: Retries = NO_RETRIES,
    ) -> None:
        self._calls = Calls.to(issuer)
        self._auth = httpx.BasicAuth(client_id, client_secret)
        self._owns_http = http is None
        self._http = http or httpx.Client(trust_env=False)
        self._retries = retries

    def close(self) -> None:
        """Close the connections, unless they are the caller's own."""
        if self._owns_http:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def redeem(
        self,
        *,
        operation_token: str,
        operation: Mapping[str, Any],
        amount: Amount | None,
        occurrence: str | None,
        idempotency_key: str,
    ) -> Redemption:
        """Take a slot: the one of `occurrence`, else the earliest open one.

        amount: None where the operation fixes it. Raises the VerificationError of the refusal,
        AuthorityError for an unknown one, AuthorityUnavailable when the same call must be retried.
        """
        asked = RedemptionRequest(operation_token, operation, idempotency_key, amount, occurrence)
        return self._send(self._calls.redeem(asked))

    def redeem_batch(self, asked: Sequence[RedemptionRequest]) -> list[Redemption | ProblemError]:
        """Take many slots in one call; returns each one's redemption or refusal, in order.

        Raises AuthorityUnavailable where all of it must be retried, ValueError for an empty or too
        large batch, or one that names an Idempotency-Key twice.
        """
        return self._send(self._calls.redeem_batch(asked))

    def settle(self, redemption_id: str, *, attempt: int, reference: str | None = None) -> None:
        """Record that the work is done; also after the lease, and again after a lost answer.

        reference: the executor's own name for the effect. Raises as `redeem` does.
        """
        self._send(self._calls.settle(redemption_id, attempt, reference))

    def release(self, redemption_id: str, *, attempt: int, reason: str) -> None:
        """Give the slot back: only when it is certain that nothing was done.

        Raises as `redeem` does.
        """
        self._send(self._calls.release(redemption_id, attempt, reason))

    def find(self, redemption_id: str) -> RedemptionState:
        """Ask what became of a redemption, when an answer was lost. Raises as `redeem` does."""
        return self._send(self._calls.find(redemption_id))

    def _send(self, call: Call[T]) -> T:
        pauses = self._retries.pauses()
        while True:
            try:
                return call.result(exchange(self._http, call.request, auth=self._auth))
            except AuthorityUnavailable as error:
                pause = pause_after(error, pauses)
            time.sleep(pause)
