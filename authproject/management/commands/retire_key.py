"""End a signing key before its time."""

import time
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management import CommandParser

from accounts.management.base import (
    NothingMatched,
    PartialFailure,
    ProductCommand,
    UsageError,
)
from accounts.management.named import operator
from accounts.models import SigningKey
from accounts.services.retire_signing_key import retire_signing_key
from batchtokens.models.clock import database_now
from batchtokens.services.keys.disown import (
    compromised_since,
    count_disowned,
    disown_operations,
    disownable,
)
from batchtokens.services.keys.open_signers import open_signers, still_open

SETTLING = 2.0  # seconds, beside KEY_RING_TTL: what was about to be signed is signed by then
COMMITTING = 3.0  # seconds at most from the ledger's entry to the end of its transaction
LOOK = 0.2  # seconds between two looks at who has not committed yet
LONGEST = 600.0  # seconds to wait for them; a large chunk of a bulk issue takes minutes


class Command(ProductCommand):
    """A retired key signs no more; a compromised one is believed no more, either."""

    help = "Let a signing key sign no more; --compromised also disowns what it signed."
    lists = True
    destructive = True

    def add_options(self, parser: CommandParser) -> None:
        """Declare which, and whether others may have it."""
        parser.add_argument("kid", metavar="KID", help="the key's id, as list_keys shows it")
        parser.add_argument(
            "--compromised",
            action="store_true",
            help="somebody else may sign with it: everything that it signed counts no more;"
            " `operations reissue` signs the honest operation tokens anew",
        )
        parser.add_argument(
            "--no-wait",
            action="store_true",
            help="do not wait for other processes to drop the key (KEY_RING_TTL); then run it again"
            " later: what they sign meanwhile is disowned only then",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Ask, end the key, and disown until no process can sign with it any more."""
        key = SigningKey.objects.filter(kid=options["kid"]).first()
        if key is None:
            raise NothingMatched("There is no such key: list_keys shows them.")
        if not options["reason"]:
            raise UsageError("Say why, with --reason.")
        disowned = disownable(kid=key.kid).count() if options["compromised"] else 0
        left: set[str] = set()
        if not options["dry_run"]:
            self.confirm(_question(key, options["compromised"], disowned), yes=options["yes"])
            wait = settings.KEY_RING_TTL.total_seconds() + SETTLING
            known = compromised_since(kid=key.kid)
            key = retire_signing_key(
                kid=key.kid,
                reason=options["reason"],
                actor=operator(),
                compromised=options["compromised"],
            )
            if options["compromised"]:
                left = self._sweep(key, options, wait=_left(known, wait) if known else wait)
                disowned = count_disowned(kid=key.kid)
        self.emit_one(
            {
                "id": key.kid,
                "purpose": key.purpose,
                "retired_at": key.retired_at,
                "compromised_at": key.compromised_at,
                "disowned": disowned,
            }
        )
        if left:
            raise PartialFailure(
                f"{len(left)} who may have signed with it are not done: run again."
            )

    def _sweep(self, key: SigningKey, options: dict[str, Any], *, wait: float) -> set[str]:
        """Disown what processes sign that have not dropped the key yet, and what they commit late.

        wait: seconds until every process has dropped it. Returns who has not committed even then.
        """
        if options["no_wait"] and wait:
            self.say(f"Other processes may sign with it for {wait:.0f} s; then run this again.")
        elif wait:
            self.say(f"Waiting {wait:.0f} s until every process has dropped the key …")
            time.sleep(wait)
        signers = open_signers()
        disown_operations(kid=key.kid, reason=options["reason"])
        if options["no_wait"]:
            return still_open(signers)
        left = self._wait_for(signers)
        if signers:
            disown_operations(kid=key.kid, reason=options["reason"])
        return left

    def _wait_for(self, signers: set[str]) -> set[str]:
        """Wait until these transactions have ended; return those that have not after LONGEST."""
        until = time.monotonic() + LONGEST
        if left := still_open(signers):
            self.say("Waiting until what was being signed is committed …")
        while left and time.monotonic() < until:
            time.sleep(LOOK)
            left = still_open(left)
        return left


def _left(since: datetime, wait: float) -> float:
    """Return the seconds until every process has dropped the key; 0 where that is long ago."""
    return max(0.0, wait + COMMITTING - (database_now() - since).total_seconds())


def _question(key: SigningKey, compromised: bool, live: int) -> str:
    if compromised:
        return f"Believe the {key.purpose} key {key.kid} no more, and disown {live} mandates?"
    return f"Let the {key.purpose} key {key.kid} sign no more?"
