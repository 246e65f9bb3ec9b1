"""Sign people out, take API keys back, cancel operations: by who, where from and how old."""

from datetime import datetime
from typing import Any

from django.core.management import CommandParser
from django.db.models import QuerySet
from django.utils import timezone

from accounts.management.arguments import address, duration, name
from accounts.management.base import NothingMatched, ProductCommand, UsageError
from accounts.management.named import id_named, user_named
from accounts.models import ApiKey, SessionFamily, SessionKind, User
from accounts.models.session_family import SessionFamilyQuerySet
from accounts.services.end_session import end_sessions, sign_out_everywhere
from accounts.services.revoke_api_key import revoke_api_key
from authproject.management import operations_to_revoke
from authproject.management.selected import Selected
from batchtokens.models.clock import database_now

OPERATION = "operation"
API_KEY = "api-key"
# A family's access and refresh tokens live and end with it.
KINDS = {
    "session": tuple(SessionKind),
    "access": (SessionKind.MOBILE,),
    "refresh": (SessionKind.MOBILE,),
}


class Command(ProductCommand):
    """Ended sessions open nothing here from this moment on; offline verifiers see it in 15 min."""

    help = "End sessions with all their tokens, revoke API keys, or cancel operations for ever."
    lists = True
    destructive = True

    def add_options(self, parser: CommandParser) -> None:
        """Declare whom and what."""
        parser.add_argument("--all", action="store_true", help="whomever they belong to")
        parser.add_argument("--user", type=name, help="a username or a usr_ id")
        parser.add_argument("--family", type=name, help="one session: a ses_ id")
        parser.add_argument("--ip", type=address, help="last used from this address")
        parser.add_argument("--client", type=name, help="operations: triggered by this client")
        parser.add_argument("--operation-type", type=name, help="operations: of this type")
        parser.add_argument("--key", type=name, help="operations: signed with this key (its kid)")
        parser.add_argument("--older-than", type=duration, help="made longer ago, such as 30d")
        parser.add_argument("--inactive-for", type=duration, help="not used for, such as 12h")
        parser.add_argument(
            "--type",
            choices=[*KINDS, API_KEY, OPERATION],
            default="session",
            help="session (default): every place; access, refresh: places that hold tokens",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Select, ask, revoke, and print how many."""
        if not options["all"] and all(options[option] is None for option in NARROWING):
            raise UsageError("Say whose: --all, --user, --family, --ip, --older-than, …")
        now = database_now()
        selected = _select(options, now)
        if not selected.anything:
            raise NothingMatched("Nothing matched.")
        revoked = 0
        if not options["dry_run"]:
            self.confirm(f"Revoke {selected.found} of type {options['type']}?", yes=options["yes"])
            revoked = selected.revoke()
        self.emit_one({"id": options["type"], "found": selected.found, "revoked": revoked})
        if options["type"] == OPERATION and not options["dry_run"]:
            operations_to_revoke.check_none_left(options, now=now)


NARROWING = (
    "user",
    "family",
    "ip",
    "older_than",
    "inactive_for",
    *operations_to_revoke.NARROWING,
)


def _select(options: dict[str, Any], now: datetime) -> Selected:
    if options["type"] == OPERATION:
        return operations_to_revoke.operations(options, now=now)
    if any(options[option] is not None for option in operations_to_revoke.NARROWING):
        raise UsageError("--client, --operation-type and --key go with --type operation.")
    return _api_keys(options) if options["type"] == API_KEY else _sessions(options)


def _sessions(options: dict[str, Any]) -> Selected:
    families, people = _families(options), _whole_people(options)

    def revoke() -> int:
        if people is None:
            return end_sessions(families=families, why=options["reason"])
        return sign_out_everywhere(users=people, why=options["reason"])

    found = families.count()
    return Selected(revoke, found, bool(found) or (people is not None and people.exists()))


def _whole_people(options: dict[str, Any]) -> QuerySet[User] | None:
    """Return the people of whom every session was selected, None where only some were."""
    some = any(options[option] is not None for option in NARROWING if option != "user")
    if some or options["type"] != "session":
        return None
    everybody = User.objects.all()
    return (
        everybody
        if options["user"] is None
        else everybody.filter(pk=user_named(options["user"]).pk)
    )


def _families(options: dict[str, Any]) -> SessionFamilyQuerySet:
    now = timezone.now()
    found = SessionFamily.objects.not_ended().filter(kind__in=KINDS[options["type"]])
    if options["user"] is not None:
        found = found.filter(user=user_named(options["user"]))
    if options["family"] is not None:
        found = found.filter(pk=id_named(options["family"], SessionFamily.public_prefix))
    if options["ip"] is not None:
        found = found.filter(address=options["ip"])
    if options["older_than"] is not None:
        found = found.filter(created_at__lt=now - options["older_than"])
    if options["inactive_for"] is not None:
        found = found.filter(last_used_at__lt=now - options["inactive_for"])
    return found


def _api_keys(options: dict[str, Any]) -> Selected:
    if any(options[option] is not None for option in ("family", "ip")):
        raise UsageError(
            "API keys are selected with --all, --user, --older-than or --inactive-for."
        )
    now = timezone.now()
    found = ApiKey.objects.unrevoked().select_related("client", "user")
    if options["user"] is not None:
        found = found.for_user(user_named(options["user"]))
    if options["older_than"] is not None:
        found = found.filter(created_at__lt=now - options["older_than"])
    if options["inactive_for"] is not None:
        found = found.unused_since(now - options["inactive_for"])

    def revoke() -> int:
        return sum(revoke_api_key(api_key=key, why=options["reason"]) for key in list(found))

    count = found.count()
    return Selected(revoke, count, bool(count))
