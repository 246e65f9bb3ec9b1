"""Sign disowned operations anew: the same claims with another key, and no slot opens again.

The claims, and so the jti, stay byte for byte what they were; only the header and the signature are
new. The queue's runs get the new token in the same transaction, triggers fetch it.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Q

from accounts.crypto import open_sealed, seal
from accounts.errors import SealBroken
from accounts.tokens.backend import sign_payload
from batchtokens.models import (
    EntryKind,
    HoldKind,
    LedgerEntry,
    OperationToken,
    QueuedRun,
    RunState,
    salted_digest,
)
from batchtokens.models.clock import DatabaseClock, database_now
from batchtokens.models.operation_tokens import OperationTokenQuerySet
from batchtokens.services.change_operations import Change, change_operations
from batchtokens.services.enqueue import job_of, seal_context
from batchtokens.services.issue import Issued
from batchtokens.services.signatures import keep_signature, kept_claims
from batchtokens_verifier.canonical import b64url_decode, parse_json
from batchtokens_verifier.claims import token_hash
from batchtokens_verifier.errors import OperationTokenNotValid, ProblemError, TokenNotValid
from batchtokens_verifier.jws import Purpose

PAGE = 200
# What was delivered with the old signature was refused with one of these: it is tried again.
_REFUSED = (OperationTokenNotValid.code, TokenNotValid.code)


@dataclass(frozen=True)
class Reissued:
    """What became of one page, by id.

    lost: their claims are not kept. damaged: they are not what their ledger says (I15).
    """

    signed: list[str]
    lost: list[str]
    damaged: list[str]


def reissuable() -> OperationTokenQuerySet:
    """Return the disowned operations that are still live; a cancelled one stays so (I16)."""
    return OperationToken.objects.exclude(disowned_at=None).live(DatabaseClock())


def reissue_operations(
    *, among: OperationTokenQuerySet, reason: str, now: dt.datetime | None = None
) -> Iterator[Reissued]:
    """Sign all of `among` anew, each page whole or not at all; yields what became of it.

    Raises NoSigningKey.
    """
    last: Any = None
    while True:
        rows = among.filter(pk__gt=last) if last else among
        page = list(rows.order_by("pk")[:PAGE])
        if not page:
            return
        last = page[-1].pk
        with transaction.atomic(durable=True):
            reissued = _reissue(page, reason, now)
        yield reissued


def _reissue(page: list[OperationToken], reason: str, now: dt.datetime | None) -> Reissued:
    claims = {token.pk: found for token in page if (found := _claims_of(token))}
    tokens: dict[Any, str] = {}

    def sign(token: OperationToken, at: dt.datetime) -> bool:
        if token.disowned_at is None or token.pk not in claims:
            return False
        tokens[token.pk] = _sign(token, claims[token.pk])
        return True

    change = Change(
        kind=EntryKind.REISSUED,
        by=HoldKind.SYSTEM,
        apply=sign,
        reason=reason,
        fields=("kid", "alg", "jws_digest", "sealed_token", "sealed_until"),
        data_of=lambda token: {"jws": token.jws_digest, "kid": token.kid},
        leave_broken=True,  # or one edited row would keep the others waiting
    )
    wanted = reissuable().filter(pk__in=list(claims))
    changed = change_operations(wanted, change=change, now=now)
    disowned = {token.pk: token.disowned_at for token in page}
    at = now or database_now()
    for token in changed:
        _queue_anew(token, tokens[token.pk], since=disowned[token.pk] or at, at=at)
    return Reissued(
        signed=[token.public_id for token in changed],
        lost=[token.public_id for token in page if token.pk not in claims],
        damaged=[token.public_id for token in wanted],
    )


def _sign(token: OperationToken, payload: str) -> str:
    """Set the columns of a new signature; the token waits, sealed, for its trigger."""
    signed = sign_payload(payload, purpose=Purpose.OPERATION)
    keep_signature(token, signed)
    if token.client_id is not None:  # the built-in trigger hands nothing out
        token.sealed_token = seal(signed.token.encode(), context=f"issued:{token.public_id}")
        token.sealed_until = token.valid_to
    if _held_by_disowning(token):
        token.holds = [kind for kind in token.holds if kind != HoldKind.SYSTEM]
    token.disowned_at = None
    return signed.token


def _held_by_disowning(token: OperationToken) -> bool:
    """Tell whether the system's hold is there for the signature alone.

    It was not there before, the system did not hold since, and the account is not switched off.
    """
    entries = LedgerEntry.objects.filter(operation_token=token).order_by("-seq")
    disowned = entries.filter(kind=EntryKind.DISOWNED).first()
    before = entries.filter(seq=disowned.seq - 1).first() if disowned else None
    if disowned is None or before is None:  # one was taken out
        return False
    held_before = HoldKind.SYSTEM in json.loads(before.entry)["state"]["holds"]
    since = entries.filter(seq__gt=disowned.seq, kind=EntryKind.HELD)
    again = any(json.loads(each.entry)["data"].get("by") == HoldKind.SYSTEM for each in since)
    return token.user.is_active and not held_before and not again


def _claims_of(token: OperationToken) -> str | None:
    """Return the payload segment that was signed for this row; None where nothing has kept it."""
    try:
        payload = kept_claims(token) or _queued_claims(token)
    except SealBroken:
        return None
    return payload if payload and _is_of(token, payload) else None


def _queued_claims(token: OperationToken) -> str | None:
    """Look into the queue, for what an earlier release has issued."""
    run = token.queued_runs.first()
    if run is None:
        return None
    context = seal_context(token.public_id, run.occurrence)
    job = json.loads(open_sealed(run.sealed, context=context))
    return str(job["operation_token"]).split(".")[1]


def _is_of(token: OperationToken, payload: str) -> bool:
    """Compare the claims with the row, and with what its ledger says was signed."""
    try:
        claims = parse_json(b64url_decode(payload))
    except (ValueError, ProblemError):
        return False
    first = LedgerEntry.objects.filter(operation_token=token, seq=1).first()
    if first is None:  # it was taken out
        return False
    digest = salted_digest(bytes(token.salt), payload)
    return (
        isinstance(claims, dict)
        and token_hash(claims["jti"]) == token.token_hash
        and claims["authorization_details"] == [token.details]
        # An earlier release's first entry does not tell.
        and json.loads(first.entry)["data"].get("claims", digest) == digest
    )


def _queue_anew(token: OperationToken, signed: str, *, since: dt.datetime, at: dt.datetime) -> None:
    """Put the new token into the runs that are still ahead, also those refused for the old one.

    A run in a worker's hands is taken back: its outcome would be the old signature's.
    """
    refused = Q(state=RunState.DEAD, code__in=_REFUSED, finished_at__gte=since)
    ahead = token.queued_runs.filter(closes_at__gt=at)
    ahead = ahead.filter(Q(state__in=[RunState.PENDING, RunState.LEASED]) | refused)
    runs = list(ahead.select_for_update().order_by("pk"))
    job = job_of(Issued(signed, token))  # what they carried counts for nothing
    for run in runs:
        run.sealed = seal(job, context=seal_context(token.public_id, run.occurrence))
        if run.state != RunState.PENDING:
            run.state, run.finished_at, run.code = RunState.PENDING, None, ""
            run.leased_until, run.lease_owner = None, ""
            run.next_attempt_at = max(run.due_at, at)
    QueuedRun.objects.bulk_update(runs, _RUN_FIELDS)


_RUN_FIELDS = (
    "sealed",
    "state",
    "finished_at",
    "code",
    "leased_until",
    "lease_owner",
    "next_attempt_at",
)
