"""Let a confirmed consent buy one operation token: exactly what the person was shown (I13, I14).

The statement that stores the token spends it; here it is locked and compared.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
import uuid
from collections.abc import Iterable
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from accounts.errors import UnknownId
from accounts.ids import parse_public_id
from accounts.models import ServiceClient
from batchtokens.errors import (
    ConsentMismatch,
    ConsentModeNotSupported,
    ConsentNotValid,
    ConsentRequired,
)
from batchtokens.models import Consent, ConsentMode, OperationToken, OperationType
from batchtokens.services.consent.draft_operation import Draft
from batchtokens.services.consent.vouch_for_consent import is_vouched_for

logger = logging.getLogger(__name__)

POINTER = "/consent_id"
_CONSENT_ID = re.compile(f"{Consent.public_prefix}_[0-9a-f]{{32}}")


def lock_consent(*, user_id: uuid.UUID, consent_id: str) -> Any:
    """Lock an active person and their consent, in one statement; call it in a transaction.

    Raises ConsentNotValid, also where it is somebody else's.
    """
    try:
        pk = parse_public_id(consent_id, Consent.public_prefix)
    except UnknownId as error:
        raise ConsentNotValid(pointer=POINTER) from error
    # Of rows that it waited for, both locks bring the newest state, as only locked rows have it.
    # The person comes first, as with everybody: who freezes an account voids its consents then.
    rows = (
        _with_what_it_bought()
        .select_related("user")
        .select_for_update(no_key=True, of=("user", "self"))
    )
    consent = rows.filter(pk=pk, user=user_id, user__is_active=True).first()
    if consent is None:
        raise ConsentNotValid(pointer=POINTER)
    return consent


def _with_what_it_bought() -> QuerySet[Any]:
    """Bring along whether a token names it: a constraint forbids a second one, whatever it says."""
    bought = OperationToken.objects.filter(consent=OuterRef("pk"))
    return Consent.objects.annotate(has_bought=Exists(bought))


def lock_consents(consent_ids: Iterable[str]) -> dict[str, Consent]:
    """Lock those consents that there are, by public id; their people must be locked already."""
    keys = [uuid.UUID(hex=text[4:]) for text in consent_ids if _CONSENT_ID.fullmatch(text)]
    rows = _with_what_it_bought().select_for_update(no_key=True).filter(pk__in=keys).order_by("pk")
    return {consent.public_id: consent for consent in rows} if keys else {}


def check_spendable(
    consent: Any,
    *,
    operation_type: OperationType,
    trigger: ServiceClient | None,
    at: dt.datetime,
) -> None:
    """Raise unless the type and the consent go together, and it is confirmed, open and unspent.

    consent: locked by one of the above, or None. trigger: who asks; None is the built-in one.
    """
    if operation_type.consent != ConsentMode.EXACT:
        if consent is not None:
            raise ConsentModeNotSupported("The type takes no consent.", pointer=POINTER)
        return
    if consent is None:
        raise ConsentRequired(pointer=POINTER)
    is_open = consent.confirmed_at is not None and consent.spent_at is None
    own = consent.client_id == (trigger.pk if trigger else None)
    # One answer for all: a trigger learns nothing of consents that are not for it.
    if not (own and is_open and consent.created_at <= at < consent.expires_at):
        raise ConsentNotValid(pointer=POINTER)
    if not is_vouched_for(consent) or consent.has_bought:
        logger.critical(
            "consent %s is not as it was confirmed, and buys nothing", consent.public_id
        )
        raise ConsentNotValid(pointer=POINTER)
    if consent.operation_type_id != operation_type.pk:
        raise ConsentMismatch("The operation type has changed since.", pointer=POINTER)


def check_consented(draft: Draft, consent: Consent, *, sub: str, client_id: str) -> None:
    """Raise ConsentMismatch unless the draft is what was shown, to the last member and word."""
    wanted = draft.mandate_digest(sub=sub, client_id=client_id)
    # The sentence, too: a version that had not issued yet may have been corrected in between.
    words = draft.words(client_id=client_id)
    if wanted != consent.mandate_digest or words != consent.summary:
        raise ConsentMismatch(pointer=POINTER)
