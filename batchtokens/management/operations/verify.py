"""`operations verify`: judge a token or a delivery offline; nothing here asks a database."""

import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.core.management import CommandParser
from django.utils import timezone

from accounts.management.arguments import moment, name
from accounts.management.base import Findings, ProductCommand, UsageError
from batchtokens.management.operations.verb import Verb
from batchtokens_verifier.canonical import parse_json
from batchtokens_verifier.deliveries import MAX_DELIVERY_BYTES
from batchtokens_verifier.errors import (
    InvalidKeySet,
    InvalidOperation,
    TokenNotValid,
    VerificationError,
)
from batchtokens_verifier.jws import KeySet
from batchtokens_verifier.policy import (
    ExecutorPolicy,
    Verdict,
    authenticate_operation_token,
    verify_operation_token,
)

STDIN = "-"


class Given(NamedTuple):
    """What is to be judged, and the copy of the operation that came along."""

    token: str
    operation: Mapping[str, object] | None


class VerifyToken(Verb):
    """Exit 6 and the code where it is refused. Offline never says whether a slot is free."""

    name = "verify"
    help = "Verify an operation token or a delivery offline, from a file or stdin."

    def add_options(self, parser: CommandParser) -> None:
        """Declare what to believe: keys, issuer and audience."""
        parser.add_argument(
            "file",
            metavar="FILE",
            nargs="?",
            default=STDIN,
            help="a token, or a delivery's JSON body; - (default): stdin",
        )
        parser.add_argument("--keys", required=True, type=Path, help="the authority's JWKS")
        parser.add_argument("--issuer", type=name, help="default: ISSUER_URL")
        parser.add_argument("--audience", required=True, type=name, help="the executor")
        parser.add_argument("--type", type=name, help="take only this operation type")
        parser.add_argument("--operation", type=Path, help="the copy to compare, as JSON")
        parser.add_argument("--at", type=moment, help="judge as of this instant (default: now)")

    def run(self, command: ProductCommand, options: dict[str, Any]) -> None:
        """Print the verdict; neither the token nor its signature is repeated."""
        given = _given(_read(options["file"]))
        if options["operation"] is not None:
            given = Given(given.token, _object(_read(str(options["operation"])), "--operation"))
        keys = jwks_of(options["keys"])
        try:
            verdict = _judge(given, keys, options, options["at"] or timezone.now())
        except VerificationError as refusal:
            reason = refusal.reason if isinstance(refusal, TokenNotValid) else ""
            command.emit_one(
                {"id": "", "verdict": "refused", "code": refusal.code, "reason": reason}
            )
            raise Findings(f"Refused: {refusal.code}.") from None
        command.emit_one(_accepted(verdict, compared=given.operation is not None))


def _judge(given: Given, keys: KeySet, options: dict[str, Any], now: datetime) -> Verdict:
    issuer = options["issuer"] or settings.ISSUER_URL
    secondly = settings.ALLOW_SECONDLY_SCHEDULES
    wanted = (
        options["type"]
        or authenticate_operation_token(
            given.token,
            keys=keys,
            issuer=issuer,
            audience=options["audience"],
            now=now,
            allow_secondly=secondly,
        ).operation_type
    )
    policy = ExecutorPolicy(issuer, options["audience"], frozenset({wanted}), secondly)
    return verify_operation_token(
        given.token, keys=keys, policy=policy, now=now, operation=given.operation
    )


def _accepted(verdict: Verdict, *, compared: bool) -> dict[str, Any]:
    claims = verdict.claims
    return {
        "id": claims.operation_id,
        "verdict": "accepted",
        "assurance": verdict.assurance,
        "operation_compared": compared,
        "type": claims.operation_type,
        "sub": claims.sub,
        "client_id": claims.client_id,
        "aud": claims.aud,
        "parameter_digest": claims.parameter_digest,
        "valid_from": claims.constraints.valid_from,
        "valid_to": claims.constraints.valid_to,
    }


def _read(source: str) -> bytes:
    """Return at most what may be a delivery, and one byte more. Raises UsageError."""
    most = MAX_DELIVERY_BYTES + 1
    try:
        if source == STDIN:
            return sys.stdin.buffer.read(most)
        with Path(source).open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise UsageError(f"{source} cannot be read: {error.strerror}.") from None


def _given(content: bytes) -> Given:
    """Read a token, or a delivery's body. Raises UsageError."""
    if not content.lstrip().startswith(b"{"):
        # Only the line's end that a file has and no token: tokens are judged as they are.
        return Given(content.removesuffix(b"\n").removesuffix(b"\r").decode("latin-1"), None)
    match _object(content, "The delivery"):
        case {"operation_token": str(token), "operation": dict(operation)}:
            return Given(token, operation)
    raise UsageError("A delivery has the members operation_token and operation.")


def _object(content: bytes, what: str) -> dict[str, Any]:
    try:
        value = parse_json(content, max_bytes=MAX_DELIVERY_BYTES)
    except InvalidOperation as error:
        raise UsageError(f"{what} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise UsageError(f"{what} is not a JSON object.")
    return value


def jwks_of(path: Path, option: str = "--keys") -> KeySet:
    """Return the keys of a JWKS file. Raises UsageError."""
    try:
        return KeySet.from_jwks(_object(_read(str(path)), option))
    except InvalidKeySet as error:
        raise UsageError(f"{option}: {error}") from None
