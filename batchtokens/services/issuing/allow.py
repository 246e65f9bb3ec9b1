"""May this person, through this trigger, have an operation token of this type now?

It is read under the person's row lock, so that two issues cannot both fit under one cap.
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any

from django.db.models import (
    BigIntegerField,
    Case,
    Count,
    Exists,
    OuterRef,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce

from accounts.errors import AuthenticationTooOld
from accounts.models import FIRST_PARTY, Acr, ServiceClient, User
from accounts.tokens.access import Grant
from batchtokens.errors import (
    MandateLimitReached,
    MetaScopeMissing,
    OperationTypeUnknown,
    SubjectTokenNotValid,
    TriggerNotAllowed,
)
from batchtokens.models import Checkpoint, Consent, OperationToken, OperationType
from batchtokens.models.clock import DatabaseClock
from batchtokens.services.consent.draft_operation import Draft
from batchtokens.services.consent.spend_consent import (
    check_consented,
    check_spendable,
    lock_consent,
)
from batchtokens.services.ledger.check_ledger_head import check_ledger_head
from batchtokens.services.status.status_places import open_list


@dataclass(frozen=True)
class Allowance:
    """A locked person and the type that may be issued at `at`; `earlier` answers a retry."""

    user: User
    operation_type: OperationType
    at: dt.datetime
    live_mandates: int
    live_total_minor: int
    earlier: OperationToken | None
    status_list_id: uuid.UUID | None = None
    consent: Consent | None = None
    client_id: str = FIRST_PARTY

    @property
    def agreed_at(self) -> dt.datetime | None:
        """Return when the person was shown what they confirmed, if they had to."""
        return self.consent.created_at if self.consent else None

    def check(self, draft: Draft) -> None:
        """Raise ConsentMismatch if the draft is not what was confirmed.

        Raises MandateLimitReached if it would pass a cap of its type.
        """
        if self.consent is not None:
            check_consented(draft, self.consent, sub=self.user.public_id, client_id=self.client_id)
        self._check_caps(draft)

    def _check_caps(self, draft: Draft) -> None:
        kind = self.operation_type
        if kind.max_live_mandates is not None and self.live_mandates >= kind.max_live_mandates:
            raise MandateLimitReached(f"At most {kind.max_live_mandates} live mandates a person.")
        if kind.max_total_minor is None:
            return
        total = draft.constraints.max_total
        if total is None or total.currency != kind.max_total_currency:
            raise MandateLimitReached(
                f"This type needs a max_total in {kind.max_total_currency}.", pointer="/max_total"
            )
        if self.live_total_minor + total.minor > kind.max_total_minor:
            raise MandateLimitReached("The live mandates' max_total would be too high.")


def allow_operation(
    *,
    grant: Grant,
    type_name: str,
    trigger: ServiceClient | None,
    idempotency_digest: str | None,
    consent_id: str | None = None,
    now: dt.datetime | None = None,
) -> Allowance:
    """Lock the person, then read the type, its caps' use and the answer to an earlier request.

    `trigger` None is the built-in one, allowed for every type; `consent_id` names what the person
    confirmed, for a type that wants that. Two statements; call it in a transaction. Raises
    LedgerBehind: an older database does not know whom it has issued what.
    """
    user, consent = _lock(grant, consent_id)
    kind = _types(user, trigger, idempotency_digest).filter(name=type_name).first()
    check_ledger_head(kind.sealed_size if kind else 0)
    if kind is None:
        raise OperationTypeUnknown(pointer="/type")
    at = now or kind.clock
    if trigger is not None and not kind.is_trigger:
        raise TriggerNotAllowed
    if kind.meta_scope not in grant.scope:
        raise MetaScopeMissing(kind.meta_scope)
    _check_authentication(kind, grant, at)
    earlier = OperationToken.objects.get(pk=kind.earlier) if kind.earlier else None
    if earlier is None:  # an answer of before has spent its consent
        check_spendable(consent, operation_type=kind, trigger=trigger, at=at)
    counted = (kind.live_mandates, kind.live_total)
    client_id = trigger.client_id if trigger else FIRST_PARTY
    return Allowance(user, kind, at, *counted, earlier, kind.open_list, consent, client_id)


def _lock(grant: Grant, consent_id: str | None) -> tuple[User, Consent | None]:
    """Lock the active person, and the consent with them; sign-ins meanwhile need not wait."""
    if consent_id is not None:
        consent = lock_consent(user_id=grant.subject.pk, consent_id=consent_id)
        return consent.user, consent
    people = User.objects.select_for_update(no_key=True)
    user = people.filter(pk=grant.subject.pk, is_active=True).first()
    if user is None:
        raise SubjectTokenNotValid
    return user, None


def _check_authentication(kind: OperationType, grant: Grant, at: dt.datetime) -> None:
    """Compare when, and how surely, the person signed in with what the type wants (RFC 9470)."""
    age = kind.max_authentication_age
    oldest = at - dt.timedelta(seconds=age or 0)
    stale = age is not None and (grant.auth_time is None or grant.auth_time < oldest)
    if stale or not grant.reaches(kind.required_acr):
        raise AuthenticationTooOld(age, kind.required_acr or Acr.ONE_FACTOR)


def _types(
    user: User, trigger: ServiceClient | None, idempotency_digest: str | None
) -> QuerySet[Any]:
    live = (
        OperationToken.objects.for_user(user)
        .live(DatabaseClock())
        .filter(type_name=OuterRef("name"))
        .order_by()
        .values("type_name")
    )
    links = OperationType.trigger_clients.through.objects.filter(
        operationtype=OuterRef("pk"), serviceclient=trigger
    )
    earlier = OperationToken.objects.filter(idempotency_digest=idempotency_digest or "")
    sealed = Checkpoint.objects.order_by("-size").values("size")[:1]
    return (
        OperationType.objects.active()
        .select_related("executor")
        .annotate(
            clock=DatabaseClock(),
            is_trigger=Exists(links),
            live_mandates=_counted("max_live_mandates", live.annotate(n=Count("pk"))),
            live_total=_counted("max_total_minor", live.annotate(n=Sum("max_total_minor"))),
            earlier=Subquery(earlier.values("pk")),
            open_list=open_list(OuterRef("executor")),
            sealed_size=Coalesce(Subquery(sealed), 0),
        )
    )


def _counted(cap: str, live: QuerySet[Any]) -> Case:
    """Count only what is capped: without a cap, a person's mandates may be very many."""
    number = BigIntegerField()
    count = Coalesce(Subquery(live.values("n"), output_field=number), Value(0, number))
    return Case(When(**{cap: None}, then=Value(0, number)), default=count)
