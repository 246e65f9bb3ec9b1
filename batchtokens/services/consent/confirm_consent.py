"""Confirm a consent with a second factor, which is spent on that digest and on nothing else."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from accounts.errors import InsufficientScope
from accounts.ids import parse_public_id
from accounts.models import Amr, RequestContext, TotpDevice, User
from accounts.scopes import ACCOUNT
from accounts.services.record_event import NOWHERE, record_event
from accounts.services.verify_second_factor import verify_second_factor
from accounts.tokens.access import Grant
from batchtokens.errors import (
    ConsentMismatch,
    ConsentNotFound,
    ConsentNotValid,
    SecondFactorMissing,
)
from batchtokens.models import Consent, ConsentStatus
from batchtokens.models.clock import DatabaseClock, database_now
from batchtokens.services.consent.vouch_for_consent import vouch_for_consent


def find_consent(*, by: Grant, public_id: str) -> Any:
    """Return one's own consent by its `cns_` id, with `clock`.

    Raises ConsentNotFound (I10), or InsufficientScope: it takes account or the type's meta-scope.
    """
    pk = parse_public_id(public_id, Consent.public_prefix)
    consents = Consent.objects.for_user(by.subject).select_related(
        "user", "client", "operation_type"
    )
    consent = consents.annotate(clock=DatabaseClock()).filter(pk=pk).first()
    if consent is None:
        raise ConsentNotFound
    if by.scope.isdisjoint({ACCOUNT, consent.operation_type.meta_scope}):
        raise InsufficientScope(consent.operation_type.meta_scope)
    return consent


def confirm_consent(
    *,
    by: Grant,
    public_id: str,
    otp: str,
    mandate_digest: str,
    context: RequestContext = NOWHERE,
) -> Any:
    """Confirm what has this digest; to confirm again what is open changes and spends nothing.

    Raises ConsentMismatch or ConsentNotValid before a code is looked at; SecondFactorMissing,
    InvalidOtp.
    """
    consent = find_consent(by=by, public_id=public_id)
    if mandate_digest != consent.mandate_digest:
        raise ConsentMismatch(pointer="/mandate_digest")
    if consent.status_at(consent.clock) == ConsentStatus.OPEN:
        _confirm(consent, _spend_code(by.subject, otp, context), context)
        consent = find_consent(by=by, public_id=public_id)
    if consent.status_at(consent.clock) != ConsentStatus.CONFIRMED:
        raise ConsentNotValid
    return consent


def _spend_code(user: Any, otp: str, context: RequestContext) -> Amr:
    """Spend the code outside a transaction: a counted guess stays counted."""
    if not isinstance(user, User) or not TotpDevice.objects.is_on_for(user.pk):
        raise SecondFactorMissing
    return verify_second_factor(user=user, code=otp, context=context)


def _confirm(consent: Consent, used: Amr, context: RequestContext) -> None:
    """Note it in one conditional UPDATE, unless it was over, or confirmed, meanwhile.

    What is vouched for is what was found before, not what somebody may have written since.
    """
    with transaction.atomic(durable=True):
        consent.confirmed_at, consent.confirmed_with = database_now(), used
        vouch_for_consent(consent)
        rows = Consent.objects.open(DatabaseClock()).filter(pk=consent.pk, confirmed_at=None)
        if rows.update(
            confirmed_at=consent.confirmed_at,
            confirmed_with=used,
            confirmation_mac=consent.confirmation_mac,
        ):
            record_event(
                code="consent_confirmed",
                user=consent.user,
                data={"consent": consent.public_id, "mandate_digest": consent.mandate_digest},
                context=context,
            )
