"""What nobody may do: other bytes, edited copies, another executor, the wrong door (I3, I4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from random import Random

from accounts.services.verify_access_token import ANY_AUDIENCE, verify_access_token
from accounts.tokens.backend import signer
from batchtokens.errors import RedemptionNotFound, SubjectTokenNotValid
from batchtokens.services.issuing.exchange import exchange_access_token
from batchtokens.services.mandates.introspect import INACTIVE, introspect_operation_token
from batchtokens.services.redemption.redeem import RedemptionRequest, redeem_operation_token
from batchtokens.services.redemption.settle import Closing, release_redemption, settle_redemption
from batchtokens_verifier.canonical import b64url
from batchtokens_verifier.claims import redemption_id
from batchtokens_verifier.errors import OperationTokenNotValid, TokenNotValid
from batchtokens_verifier.jws import Purpose
from tests import mandates
from tests.mandate_machine.faults import Fault
from tests.mandate_machine.rules.executors import ExecutorRules
from tests.mandate_machine.rules.people import PeopleRules
from tests.mandate_machine.tally import TOLD

MEMBERS = ["action", "amount", "creditor_account", "debtor_account", "reference", "one more"]


def claims_of(token: str) -> str:
    return token.split(".")[1]


def without_signature(token: str, other: str) -> str:
    header = b64url(b'{"alg":"none","typ":"op+jwt"}')
    return f"{header}.{token.split('.')[1]}."


def with_anothers_signature(token: str, other: str) -> str:
    return f"{token.rsplit('.', 1)[0]}.{other.rsplit('.', 1)[1]}"


def with_anothers_claims(token: str, other: str) -> str:
    header, _, signature = token.split(".")
    return f"{header}.{other.split('.')[1]}.{signature}"


def signed_once_more(token: str, other: str) -> str:
    """Return a genuine signature of the same claims, which nobody was given."""
    return signer(Purpose.OPERATION).sign_payload(claims_of(token)).token


def signed_as_a_receipt(token: str, other: str) -> str:
    return signer(Purpose.RECEIPT).sign_payload(claims_of(token)).token


FORGERIES: list[Callable[[str, str], str]] = [
    without_signature,
    with_anothers_signature,
    with_anothers_claims,
    signed_once_more,
    signed_once_more,
    signed_as_a_receipt,
]


class AttackerRules(ExecutorRules, PeopleRules):
    """Each attack is refused, and changes nothing."""

    def redeem_an_edited_copy(self, luck: Random) -> None:
        request = replace(self.honest(luck), edited=luck.choice(MEMBERS))
        self.present(self.new_key(), request, Fault())

    def redeem_forged_bytes(self, luck: Random) -> None:
        request = self.honest(luck)
        body = self.body(request)
        other = self.issued[self.chosen(luck)][0].token
        if claims_of(other) == claims_of(body.operation_token):  # signed anew, it has them, too
            other = mandates.subject_token(self.world)
        forge = luck.choice(FORGERIES)
        forged = replace(body, operation_token=forge(body.operation_token, other))
        self.refuse_at_redemption("forged bytes", forged)

    def refuse_at_redemption(self, what: str, body: RedemptionRequest) -> None:
        send = partial(
            redeem_operation_token,
            by=self.world.redeemer,
            request=body,
            idempotency_key=self.new_key(),
        )
        self.refused(what, send, OperationTokenNotValid)

    def redeem_by_another_executor(self, luck: Random) -> None:
        """Redeem, close and look with a token that was issued for somebody else."""
        number = self.chosen(luck)
        issued, mandate = self.issued[number][-1], self.mandates[number]
        body = self.body(self.honest(luck))
        send = partial(
            redeem_operation_token, by=self.bank, request=body, idempotency_key="the bank's"
        )
        self.refused("another executor", send, OperationTokenNotValid)
        assert introspect_operation_token(by=self.bank, token=issued.token) == INACTIVE
        for slot, taken in mandate.taken.items():
            closing = Closing(redemption_id(issued.row.token_hash, slot), taken.attempt)
            service = luck.choice([settle_redemption, release_redemption])
            self.refused(
                "another executor",
                partial(service, by=self.bank, closing=closing),
                RedemptionNotFound,
            )

    def knock_at_other_doors(self, luck: Random) -> None:
        """Use each kind of token where another kind belongs."""
        body = self.body(self.honest(luck))
        access = mandates.subject_token(self.world)
        self.refuse_at_redemption("wrong door", replace(body, operation_token=access))
        tokens = [body.operation_token]
        if self.answers:
            receipt = self.answers[luck.choice(sorted(self.answers))][2]
            self.refuse_at_redemption("wrong door", replace(body, operation_token=receipt))
            assert introspect_operation_token(by=self.world.redeemer, token=receipt) == INACTIVE
            tokens.append(receipt)
        for token in tokens:
            read = partial(verify_access_token, token, audience=ANY_AUDIENCE)
            self.refused("wrong door", read, TokenNotValid)
            asked = replace(
                mandates.exchange_request(self.world), subject_token=token, idempotency_key="wrong"
            )
            buy = partial(exchange_access_token, by=self.world.trigger.client, request=asked)
            self.refused("wrong door", buy, SubjectTokenNotValid)
        TOLD["knocked at other doors"] += 1
