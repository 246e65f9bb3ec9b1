"""Decide which lines of a bulk issue may be issued, each as if it had come alone, in their order.

The operator at the shell stands in for the person's access token, and for nothing else: what needs
the person's own word needs it here, too.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from accounts.errors import AuthenticationTooOld
from accounts.models import FIRST_PARTY, Acr, ServiceClient, User
from batchtokens.errors import ConsentNotValid, PersonNotValid
from batchtokens.models import Consent, OperationToken, OperationType
from batchtokens.services.consent.draft_operation import Draft, Drafting
from batchtokens.services.consent.spend_consent import POINTER, check_spendable
from batchtokens.services.issuing.allow import Allowance
from batchtokens.services.issuing.bulk_lines import BulkLine
from batchtokens.services.issuing.bulk_parties import Parties
from batchtokens_verifier.errors import IdempotencyMismatch, ProblemError


@dataclass(frozen=True)
class Mandate:
    """A line that may be issued."""

    line: BulkLine
    draft: Draft
    user: User
    client: ServiceClient | None
    consent: Consent | None
    request_digest: str


@dataclass(frozen=True)
class Repeat:
    """A line that was issued before: by a row, or by a line of this file that has none yet."""

    line: BulkLine
    row: OperationToken | None = None
    same_as: int = 0


@dataclass(frozen=True)
class Refusal:
    """A line that is not issued."""

    number: int
    error: ProblemError


Decision = Mandate | Repeat | Refusal


@dataclass
class Tally:
    """What lines before this one take up, and no row shows yet.

    live: as Parties.live. references: line and request digest by key digest.
    """

    live: dict[tuple[uuid.UUID, str], tuple[int, int]] = field(default_factory=dict)
    references: dict[str, tuple[int, str]] = field(default_factory=dict)
    consents: set[str] = field(default_factory=set)

    def add(self, mandate: Mandate) -> None:
        key = (mandate.user.pk, mandate.draft.operation_type.name)
        count, total = self.live.get(key, (0, 0))
        limit = mandate.draft.constraints.max_total
        self.live[key] = (count + 1, total + (limit.minor if limit else 0))
        if digest := mandate.line.key_digest:
            self.references[digest] = (mandate.line.number, mandate.request_digest)
        if mandate.consent is not None:
            self.consents.add(mandate.consent.public_id)


@dataclass(frozen=True)
class Desk:
    """Decides about the lines of one chunk, with its parties locked."""

    parties: Parties
    tally: Tally
    drafting: Drafting

    def decide(self, line: BulkLine) -> Decision:
        """Return what becomes of a line; what is issued counts for the lines after it."""
        try:
            user = self.parties.person(line)
            digest = line.request_digest(sub=user.public_id) if line.reference else ""
            if (repeat := self._repeat(line, digest)) is not None:
                return repeat
            mandate = self._mandate(line, user, digest)
        except ProblemError as error:
            return Refusal(line.number, error)
        self.tally.add(mandate)
        return mandate

    def _repeat(self, line: BulkLine, request_digest: str) -> Repeat | None:
        """Find what answers the reference already. Raises IdempotencyMismatch."""
        key = line.key_digest or ""
        row = self.parties.earlier.get(key)
        number, told = self.tally.references.get(key, (0, ""))
        if row is None and not number:
            return None
        if request_digest != (row.request_digest if row else told):
            raise IdempotencyMismatch(pointer="/reference")
        return Repeat(line, row, number)

    def _mandate(self, line: BulkLine, user: User, request_digest: str) -> Mandate:
        if not user.is_active:
            raise PersonNotValid(pointer="/user")
        kind = self.parties.operation_type(line)
        client = self.parties.trigger(line, kind)
        consent = self._consent(line, user)
        check_spendable(consent, operation_type=kind, trigger=client, at=self.parties.at)
        _check_authentication(kind, consent, self.parties.at)
        draft = self.drafting.draft(
            kind,
            operation=line.operation,
            constraints=line.constraints,
            constraints_at="/constraints",
            agreed_at=consent.created_at if consent else None,
        )
        self._allowance(user, kind, client, consent).check(draft)
        return Mandate(line, draft, user, client, consent, request_digest)

    def _consent(self, line: BulkLine, user: User) -> Consent | None:
        """Return the person's own consent; another's is as unknown as one that is used."""
        if line.consent_id is None:
            return None
        consent = self.parties.consents.get(line.consent_id)
        if consent is None or consent.user_id != user.pk or line.consent_id in self.tally.consents:
            raise ConsentNotValid(pointer=POINTER)
        return consent

    def _allowance(
        self,
        user: User,
        kind: OperationType,
        client: ServiceClient | None,
        consent: Consent | None,
    ) -> Allowance:
        key = (user.pk, kind.name)
        stored, waiting = _used(self.parties.live, key), _used(self.tally.live, key)
        return Allowance(
            user=user,
            operation_type=kind,
            at=self.parties.at,
            live_mandates=stored[0] + waiting[0],
            live_total_minor=stored[1] + waiting[1],
            earlier=None,
            consent=consent,
            client_id=client.client_id if client else FIRST_PARTY,
        )


def _used(
    live: Mapping[tuple[uuid.UUID, str], tuple[int, int]], key: tuple[uuid.UUID, str]
) -> tuple[int, int]:
    return live.get(key, (0, 0))


def _check_authentication(kind: OperationType, consent: Consent | None, at: dt.datetime) -> None:
    """Refuse types that want the person there, unless they confirmed just this, as they must.

    A consent is confirmed with a second factor that is spent on it.
    """
    age, acr = kind.max_authentication_age, kind.required_acr
    if age is None and not acr:
        return
    confirmed = consent.confirmed_at if consent else None
    if confirmed is None or (age is not None and confirmed < at - dt.timedelta(seconds=age)):
        raise AuthenticationTooOld(age, acr or Acr.ONE_FACTOR)
