"""The executor's client for an event loop: what `client.ExecutorClient` is for threads."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeVar

import httpx

from batchtokens_verifier.calls import Call, Calls
from batchtokens_verifier.constraints import Amount
from batchtokens_verifier.errors import AuthorityUnavailable, ProblemError
from batchtokens_verifier.redemptions import (
    Redemption,
    RedemptionRequest,
    RedemptionState,
)
from batchtokens_verifier.retries import NO_RETRIES, Retries, pause_after
from batchtokens_verifier.transport import exchange_async

T = TypeVar("T")


class AsyncExecutorClient:
    """Speaks to one authority as one service client; safe to share between tasks of one loop.

    Arguments, answers and errors are those of `client.ExecutorClient`.
    """

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str,
        *,
        http: httpx.AsyncClient | None = None,
        retries: Retries = NO_RETRIES,
    ) -> None:
        self._calls = Calls.to(issuer)
        self._auth = httpx.BasicAuth(client_id, client_secret)
        self._owns_http = http is None
        self._http = http or httpx.AsyncClient(trust_env=False)
        self._retries = retries

    async def aclose(self) -> None:
        """Close the connections, unless they are the caller's own."""
        if self._owns_http:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def redeem(
        self,
        *,
        operation_token: str,
        operation: Mapping[str, Any],
        amount: Amount | None,
        occurrence: str | None,
        idempotency_key: str,
    ) -> Redemption:
        """Take a slot, as `ExecutorClient.redeem` does."""
        asked = RedemptionRequest(operation_token, operation, idempotency_key, amount, occurrence)
        return await self._send(self._calls.redeem(asked))

    async def redeem_batch(
        self, asked: Sequence[RedemptionRequest]
    ) -> list[Redemption | ProblemError]:
        """Take many slots in one call, as `ExecutorClient.redeem_batch` does."""
        return await self._send(self._calls.redeem_batch(asked))

    async def settle(
        self, redemption_id: str, *, attempt: int, reference: str | None = None
    ) -> None:
        """Record that the work is done, as `ExecutorClient.settle` does."""
        await self._send(self._calls.settle(redemption_id, attempt, reference))

    async def release(self, redemption_id: str, *, attempt: int, reason: str) -> None:
        """Give the slot back, as `ExecutorClient.release` does."""
        await self._send(self._calls.release(redemption_id, attempt, reason))

    async def find(self, redemption_id: str) -> RedemptionState:
        """Ask what became of a redemption, as `ExecutorClient.find` does."""
        return await self._send(self._calls.find(redemption_id))

    async def _send(self, call: Call[T]) -> T:
        pauses = self._retries.pauses()
        while True:
            try:
                return call.result(await exchange_async(self._http, call.request, auth=self._auth))
            except AuthorityUnavailable as error:
                pause = pause_after(error, pauses)
            await asyncio.sleep(pause)
