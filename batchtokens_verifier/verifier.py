"""Keys, status list and policy in one call: what an executor asks about each token, offline."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from batchtokens_verifier.jwks import AsyncJwksCache, JwksCache
from batchtokens_verifier.jws import unverified_kid
from batchtokens_verifier.policy import (
    ExecutorPolicy,
    Verdict,
    judge_status,
    verify_without_status,
)
from batchtokens_verifier.status_cache import AsyncStatusListCache, StatusListCache


@dataclass(frozen=True)
class Verifier:
    """Verifies operation tokens by one policy; safe to share between threads.

    status_lists: None where the policy does without; else each token that names one is looked up.
    """

    policy: ExecutorPolicy
    keys: JwksCache
    status_lists: StatusListCache | None = None

    def __post_init__(self) -> None:
        """Refuse a policy that nothing could satisfy. Raises ValueError."""
        if self.policy.require_status and self.status_lists is None:
            raise ValueError("a policy that requires a status needs status lists")

    def verify(
        self, token: str, *, now: datetime, operation: Mapping[str, object] | None = None
    ) -> Verdict:
        """Return the verdict on `token`, as `policy.verify_operation_token` does.

        Raises its errors, and AuthorityUnavailable while keys or a status cannot be had.
        """
        keys = self.keys.keys(unverified_kid(token))
        policy = self.policy
        # The signature comes first: nobody else's token makes this service ask for anything.
        claims = verify_without_status(
            token, keys=keys, policy=policy, now=now, operation=operation
        )
        found = None
        if self.status_lists and claims.status:
            found = self.status_lists.get(claims.status, now=now)
        return judge_status(claims, policy=policy, now=now, status_list=found)


@dataclass(frozen=True)
class AsyncVerifier:
    """The same for an event loop (asyncio); safe to share between its tasks."""

    policy: ExecutorPolicy
    keys: AsyncJwksCache
    status_lists: AsyncStatusListCache | None = None

    def __post_init__(self) -> None:
        """Refuse a policy that nothing could satisfy. Raises ValueError."""
        if self.policy.require_status and self.status_lists is None:
            raise ValueError("a policy that requires a status needs status lists")

    async def verify(
        self, token: str, *, now: datetime, operation: Mapping[str, object] | None = None
    ) -> Verdict:
        """Return the verdict as `Verifier.verify` does."""
        keys = await self.keys.keys(unverified_kid(token))
        policy = self.policy
        claims = verify_without_status(
            token, keys=keys, policy=policy, now=now, operation=operation
        )
        found = None
        if self.status_lists and claims.status:
            found = await self.status_lists.get(claims.status, now=now)
        return judge_status(claims, policy=policy, now=now, status_list=found)
