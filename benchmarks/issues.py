"""Bulk issue on PostgreSQL against the obvious way, bulk_create and PyJWT, in the same run."""

from __future__ import annotations

import hashlib
import json
import resource
import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from django.db import connection, transaction

from accounts.ids import new_id
from accounts.models import User
from batchtokens.models import STATUS_LIST_SIZE, OperationToken, StatusList
from batchtokens.models.clock import database_now
from batchtokens.services.consent.draft_operation import Draft, draft_operation
from batchtokens.services.issuing.bulk_lines import NumberedText
from batchtokens.services.issuing.issue_in_bulk import CHUNK, BulkStatus, Destination, issue_in_bulk
from batchtokens_verifier.canonical import b64url
from batchtokens_verifier.claims import token_hash
from benchmarks.world import fresh_database
from tests import mandates

_INSTANT = "%Y-%m-%dT%H:%M:%SZ"
_LIMITS = mandates.constraints()["periodic_limits"]
PEOPLE = 20_000  # with a handful of mandates each, as people have


@dataclass(frozen=True)
class Issued:
    """One way of issuing: how many, in how many seconds of the clock and of the processor."""

    name: str
    tokens: int
    seconds: float
    processor: float

    @property
    def rate(self) -> float:
        return self.tokens / self.seconds

    def row(self) -> list[str]:
        """Return the table's cells."""
        each = self.processor / self.tokens * 1e6
        return [self.name, f"{self.tokens}", f"{self.rate:.0f}", f"{each:.0f}"]


def measure(count: int) -> tuple[Issued, Issued, Issued]:
    """Measure the obvious way, and bulk issue of lines that differ and of lines that repeat."""
    with fresh_database():
        world = mandates.savings(max_live_mandates=10**6)
        people = _people()
        differing = [_line(number, people, _operation(number)) for number in range(count)]
        repeating = [_line(number, people, mandates.OPERATION) for number in range(count)]
        _in_bulk(differing[:CHUNK])  # both warm
        _by_hand(world, people, CHUNK)
        return (
            _timed("bulk_create, PyJWT", count, lambda: _by_hand(world, people, count)),
            _timed("bulk issue, each other", count, lambda: _in_bulk(differing)),
            _timed("bulk issue, one operation", count, lambda: _in_bulk(repeating)),
        )


def _timed(name: str, count: int, work: Callable[[], None]) -> Issued:
    with connection.cursor() as cursor:
        cursor.execute("CHECKPOINT")  # nobody pays for what another one wrote
        cursor.execute("ANALYZE")
    started, used = time.perf_counter(), _processor()
    work()
    return Issued(name, count, time.perf_counter() - started, _processor() - used)


def _processor() -> float:
    """Return this process's own processor seconds; the database's come on top of both ways."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _people() -> list[User]:
    people = [
        User(username=f"person{number}", email=f"person{number}@example.org", password="!")
        for number in range(PEOPLE)
    ]
    return User.objects.bulk_create(people)


def _operation(number: int) -> dict[str, Any]:
    return {**mandates.OPERATION, "debtor_account": f"chk-{number}"}


def _line(number: int, people: list[User], operation: dict[str, Any]) -> NumberedText:
    line = {
        "user": people[number % PEOPLE].username,
        "type": "savings.deposit",
        "client": "trigger",
        "operation": operation,
        "constraints": mandates.constraints(),
    }
    return NumberedText(number + 1, json.dumps(line).encode())


def _in_bulk(lines: list[NumberedText]) -> None:
    to = Destination(hand_out=True)
    for outcomes in issue_in_bulk(lines, to=to, file_digest="measured"):
        assert {each.status for each in outcomes} == {BulkStatus.ISSUED}  # noqa: S101 - a wrong figure


def _by_hand(world: mandates.Savings, people: list[User], count: int) -> None:
    """Make the same rows and tokens the obvious way: no check, no ledger, no sealed claims."""
    numbers = iter(range(count))
    key = ec.generate_private_key(ec.SECP256R1())
    listed = StatusList.objects.create(executor=world.executor.client)
    places = secrets.SystemRandom().sample(range(STATUS_LIST_SIZE), count)
    summary = _draft(world).summary
    while batch := list(islice(numbers, CHUNK)):
        at = database_now()
        rows = []
        for number in batch:
            jti = "opt_" + secrets.token_urlsafe(16)
            user = people[number % PEOPLE]
            row = _row(world, user, _operation(number), at=at, place=(listed, places[number]))
            row.summary = summary
            row.token_hash = token_hash(jti)
            token = jwt.encode(
                _claims(row, jti),
                key,
                algorithm="ES256",
                headers={"typ": "at+jwt", "kid": "k" * 43},
            )
            row.jws_digest = b64url(hashlib.sha256(token.encode()).digest())
            row.claims_sealed = token.split(".")[1].encode()  # as long, and not sealed
            rows.append(row)
        with transaction.atomic():
            OperationToken.objects.bulk_create(rows, batch_size=CHUNK)


def _draft(world: mandates.Savings) -> Draft:
    return draft_operation(
        world.kind,
        operation=mandates.OPERATION,
        constraints=mandates.constraints(),
        at=database_now(),
    )


def _details(
    world: mandates.Savings,
    operation: dict[str, Any],
    identifier: str,
    at: datetime,
    ends: datetime,
) -> dict[str, Any]:
    return {
        "type": world.kind.name,
        "actions": [world.kind.scope],
        "locations": [mandates.EXECUTOR_AUDIENCE],
        "operation": operation,
        "valid_from": at.strftime(_INSTANT),
        "valid_to": ends.strftime(_INSTANT),
        "periodic_limits": _LIMITS,
        "identifier": identifier,
        "redemption": {"mode": "issuer", "uri": f"{settings.ISSUER_URL}/api/v1/redemptions"},
    }


def _row(
    world: mandates.Savings,
    user: User,
    operation: dict[str, Any],
    *,
    at: datetime,
    place: tuple[StatusList, int],
) -> OperationToken:
    text = json.dumps(operation, sort_keys=True, separators=(",", ":"))
    listed, index = place
    ends = at + timedelta(days=30)
    return OperationToken(
        id=(pk := new_id()),
        user=user,
        client=world.trigger.client,
        executor=world.executor.client,
        operation_type=world.kind,
        type_name=world.kind.name,
        kid="k" * 43,
        alg="ES256",
        operation=text,
        parameter_digest=f"sha-256:{b64url(hashlib.sha256(text.encode()).digest())}",
        details=_details(world, operation, f"op_{pk.hex}", at, ends),
        language="en",
        consent_mode="scope",
        currency="USD",
        amount_minor=5000,
        max_occurrences=30,
        issued_at=at,
        valid_from=at,
        valid_to=ends,
        salt=secrets.token_bytes(16),
        status_list=listed,
        status_index=index,
        seq=1,
        head_hash="h" * 43,
        last_at=at,
    )


def _claims(row: OperationToken, jti: str) -> dict[str, Any]:
    return {
        "iss": settings.ISSUER_URL,
        "sub": row.user.public_id,
        "aud": mandates.EXECUTOR_AUDIENCE,
        "client_id": "trigger",
        "act": {"sub": "trigger"},
        "iat": int(row.issued_at.timestamp()),
        "nbf": int(row.valid_from.timestamp()),
        "exp": int(row.valid_to.timestamp()),
        "jti": jti,
        "txn": str(uuid.uuid4()),
        "scope": row.operation_type.scope,
        "parameter_digest": row.parameter_digest,
        "consent": {"mode": "scope"},
        "authorization_details": [row.details],
        "status": {
            "status_list": {
                "idx": row.status_index,
                "uri": f"{settings.ISSUER_URL}/oauth/status/{row.status_list_id}",
            }
        },
    }
