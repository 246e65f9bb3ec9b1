"""The executor ("Do Savings"): verifies a delivered token, redeems it, moves the money, settles.

Nothing in a delivery is believed. What is done is what the verified token says, once for each
redemption id, and only when the authority says `proceed`. Any step may be the last before a crash:
the next delivery, or the next start, goes on from what the bank remembers.
"""

import logging
import time
from functools import partial
from http import HTTPStatus

from batchtokens_verifier.claims import OperationTokenClaims, redemption_id
from batchtokens_verifier.client import ExecutorClient, Redemption
from batchtokens_verifier.constraints import resolve_amount
from batchtokens_verifier.deliveries import Delivery
from batchtokens_verifier.errors import (
    AuthorityError,
    AuthorityUnavailable,
    InvalidOperation,
    LeaseLost,
    SlotAlreadyRedeemed,
)
from batchtokens_verifier.middleware.guards import CheckedDelivery, Deliveries
from examples.savings.bank import Bank, Deposit, InsufficientFunds, Permit, Transfer
from examples.savings.web import Request, Response, TryLater

RETRY_PAUSES = (0.2, 1.0)  # seconds before a redemption without an answer is asked for again

logger = logging.getLogger("savings")


class Executor:
    def __init__(self, *, authority: ExecutorClient, deliveries: Deliveries, bank: Bank) -> None:
        self._authority, self._deliveries, self._bank = authority, deliveries, bank

    def post_delivery(self, request: Request) -> Response:
        """Answer 200 once settled, 4xx for what must never run, 5xx for what may come again."""
        # Signature, age, token, status; also that copy and id are the token's own.
        checked = self._deliveries.check(request.headers, request.body)
        try:
            done = self._execute(checked)
        except (SlotAlreadyRedeemed, LeaseLost) as error:
            # Another run holds the lease: it settles, or its lease ends and a later run takes over.
            raise TryLater("Another run holds this slot.") from error
        answer = {"redemption_id": done.redemption_id, "receipt": done.receipt}
        return Response.json(HTTPStatus.OK, answer)

    def settle_owed(self) -> None:
        """Settle what moved before a crash; its window may have ended, and no delivery may come."""
        for transfer in self._bank.owed():
            if not self._close(transfer):
                logger.warning("%s is not settled yet", transfer.redemption_id)

    def _execute(self, checked: CheckedDelivery) -> Transfer:
        delivery, claims = checked.delivery, checked.verdict.claims
        deposit = deposit_of(claims, slot=delivery.occurrence)
        # The id follows from token and slot, so the bank can say whether an earlier run moved the
        # money. Then only the fact is left to tell, which is allowed even after a cancellation.
        done = self._bank.find(redemption_id(claims.token_hash, deposit.slot))
        if done is not None and self._close(done):
            return done
        redemption = self._redeem(delivery, claims, deposit)
        done = self._act(deposit, redemption)
        self._settle(done, attempt=redemption.attempt)
        return done

    def _redeem(
        self, delivery: Delivery, claims: OperationTokenClaims, deposit: Deposit
    ) -> Redemption:
        redeem = partial(
            self._authority.redeem,
            operation_token=delivery.operation_token,
            operation=claims.operation,
            amount=deposit.amount,
            occurrence=deposit.slot,
            idempotency_key=delivery.idempotency_key,
        )
        # The same key gets the same redemption, so an answer that was lost is asked for again. The
        # next delivery has a new key, which would have to wait until the lease ends.
        for pause in RETRY_PAUSES:
            try:
                return redeem()
            except AuthorityUnavailable:
                time.sleep(pause)
        return redeem()

    def _act(self, deposit: Deposit, redemption: Redemption) -> Transfer:
        # A receipt proves, it does not permit: only `proceed` does, and until the lease ends.
        if not redemption.proceed or redemption.amount != deposit.amount:
            raise TryLater("The authority gave no permission to proceed.")
        try:
            return self._bank.transfer(deposit, permit_of(redemption))
        except InsufficientFunds as refusal:
            # Nothing moved and nothing will: saying so is what frees the slot.
            self._authority.release(
                redemption.redemption_id, attempt=redemption.attempt, reason=refusal.code
            )
            raise

    def _close(self, done: Transfer) -> bool:
        """Settle with the attempt that moved the money; False if a later one must do that."""
        try:
            self._settle(done, attempt=done.attempt)
        except LeaseLost:
            return self._is_settled(done)
        except AuthorityError:
            return False
        return True

    def _is_settled(self, done: Transfer) -> bool:
        """Ask whether a later attempt settled and its answer was lost; if so, nothing is owed."""
        try:
            found = self._authority.find(done.redemption_id)
        except AuthorityError:
            return False
        if found.status != "settled":
            return False
        self._bank.mark_settled(done.redemption_id, attempt=found.attempt)
        return True

    def _settle(self, done: Transfer, *, attempt: int) -> None:
        if done.settled_at is None:
            reference = done.reference
            self._authority.settle(done.redemption_id, attempt=attempt, reference=reference)
            # Only now, when the authority knows: a crash before this line repeats the settling.
            self._bank.mark_settled(done.redemption_id, attempt=attempt)


def deposit_of(claims: OperationTokenClaims, *, slot: str) -> Deposit:
    """Read the deposit from the verified token: no other copy of it is ever acted on."""
    return Deposit(
        operation_id=claims.operation_id,
        slot=slot,
        owner=claims.sub,
        debtor=_account(claims, "debtor_account"),
        creditor=_account(claims, "creditor_account"),
        amount=resolve_amount(claims.operation, claims.constraints, None),
    )


def permit_of(redemption: Redemption) -> Permit:
    return Permit(
        redemption_id=redemption.redemption_id,
        attempt=redemption.attempt,
        receipt=redemption.receipt,
        lease_expires_at=redemption.lease_expires_at,
    )


def _account(claims: OperationTokenClaims, name: str) -> str:
    value = claims.operation.get(name)
    if not isinstance(value, str):
        raise InvalidOperation("An account is missing.", pointer=f"/operation/{name}")
    return value
