"""End a signing key before its time."""

import time
from typing import Any

from django.conf import settings
from django.core.management import CommandParser

from accounts.management.base import NothingMatched, ProductCommand, UsageError
from accounts.management.named import operator
from accounts.models import SigningKey
from accounts.services.retire_signing_key import retire_signing_key
from batchtokens.models.clock import database_now
from batchtokens.services.keys.disown import count_disowned, disown_operations, disownable

SETTLING = 2.0  # seconds, beside KEY_RING_TTL: what was about to be signed is stored by then


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
        if not options["dry_run"]:
            self.confirm(_question(key, options["compromised"], disowned), yes=options["yes"])
            key = retire_signing_key(
                kid=key.kid,
                reason=options["reason"],
                actor=operator(),
                compromised=options["compromised"],
            )
            if options["compromised"]:
                self._sweep(key, options)
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

    def _sweep(self, key: SigningKey, options: dict[str, Any]) -> None:
        """Disown what processes sign that have not dropped the key yet."""
        left = _left(key, settings.KEY_RING_TTL.total_seconds() + SETTLING)
        if options["no_wait"] and left:
            self.say(f"Other processes may sign with it for {left:.0f} s; then run this again.")
        elif left:
            self.say(f"Waiting {left:.0f} s until every process has dropped the key …")
            time.sleep(left)
        disown_operations(kid=key.kid, reason=options["reason"])


def _left(key: SigningKey, wait: float) -> float:
    """Return the seconds until every process has dropped the key; 0 where that is long ago."""
    if key.compromised_at is None:
        return wait
    return max(0.0, wait - (database_now() - key.compromised_at).total_seconds())


def _question(key: SigningKey, compromised: bool, live: int) -> str:
    if compromised:
        return f"Believe the {key.purpose} key {key.kid} no more, and disown {live} mandates?"
    return f"Let the {key.purpose} key {key.kid} sign no more?"
