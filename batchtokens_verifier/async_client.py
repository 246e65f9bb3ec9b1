"""The executor's client for an event loop: what `client.ExecutorClient` is for threads."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Self

import httpx

from batchtokens_verifier.constraints import Amount
from batchtokens_verifier.errors import AuthorityUnavailable, ProblemError
from batchtokens_verifier.redemptions import (
    Redemption,
    RedemptionRequest,
    Redemptions,
    RedemptionState,
    accepted,
    read_batch,
    read_redemption,
    read_state,
)
from batchtokens_verifier.retries import NO_RETRIES, Retries, is_worth_retrying
from batchtokens_verifier.transport import Answer, Request, exchange_async


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
        self._ask = Redemptions.at(issuer)
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
        return read_redemption(await self._send(self._ask.redeem(asked)), asked)

    async def redeem_batch(
        self, asked: Sequence[RedemptionRequest]
    ) -> list[Redemption | ProblemError]:
        """Take many slots in one call, as `ExecutorClient.redeem_batch` does."""
        return read_batch(await self._send(self._ask.redeem_batch(asked)), asked)

    async def settle(
        self, redemption_id: str, *, attempt: int, reference: str | None = None
    ) -> None:
        """Record that the work is done, as `ExecutorClient.settle` does."""
        await self._send(self._ask.settle(redemption_id, attempt, reference))

    async def release(self, redemption_id: str, *, attempt: int, reason: str) -> None:
        """Give the slot back, as `ExecutorClient.release` does."""
        await self._send(self._ask.release(redemption_id, attempt, reason))

    async def find(self, redemption_id: str) -> RedemptionState:
        """Ask what became of a redemption, as `ExecutorClient.find` does."""
        return read_state(await self._send(self._ask.find(redemption_id)))

    async def _send(self, request: Request) -> Answer:
        for pause in self._retries.pauses():
            try:
                return await self._once(request)
            except AuthorityUnavailable as error:
                if not is_worth_retrying(error):
                    raise
            await asyncio.sleep(pause)
        return await self._once(request)

    async def _once(self, request: Request) -> Answer:
        return accepted(await exchange_async(self._http, request, auth=self._auth))
