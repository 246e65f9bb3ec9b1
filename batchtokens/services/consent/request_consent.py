"""Store what a person is shown, word by word, so that they can confirm exactly that."""

from __future__ import annotations

import datetime as dt

from django.db import transaction

from accounts.errors import AccountInactive
from accounts.models import User
from accounts.tokens.access import Grant
from batchtokens.errors import ConsentModeNotSupported, TooManyConsents
from batchtokens.models import Consent, ConsentMode
from batchtokens.services.consent.preview_operation import (
    MandateRequest,
    Preview,
    preview_operation,
)

LIFETIME = dt.timedelta(minutes=15)
MOST_OPEN = 20  # of one person's; each is over by itself after LIFETIME


def request_consent(
    *, by: Grant, request: MandateRequest, now: dt.datetime | None = None
) -> Consent:
    """Store an unconfirmed consent of the person's own.

    Raises ConsentModeNotSupported where the type asks for none, TooManyConsents,
    AccountInactive, and what a preview raises.
    """
    with transaction.atomic(durable=True):
        # Under the person's lock, so that two at once count each other.
        people = User.objects.select_for_update(no_key=True)
        user = people.filter(pk=by.subject.pk, is_active=True).first()
        if user is None:  # a freeze came between
            raise AccountInactive
        preview = preview_operation(by=by, request=request, now=now)
        if preview.operation_type.consent != ConsentMode.EXACT:
            raise ConsentModeNotSupported("The type takes no consent.", pointer="/type")
        if Consent.objects.for_user(user).open(preview.at).count() >= MOST_OPEN:
            raise TooManyConsents
        consent = _consent_of(preview, user)
        consent.save(force_insert=True)
        return consent


def _consent_of(preview: Preview, user: User) -> Consent:
    return Consent(
        user=user,
        client=preview.client,
        operation_type=preview.operation_type,
        details=preview.mandate,
        parameter_digest=preview.parameter_digest,
        mandate_digest=preview.mandate_digest,
        summary=preview.summary,
        language=preview.language,
        template_version=preview.operation_type.version,
        created_at=preview.at,
        expires_at=preview.at + LIFETIME,
    )
