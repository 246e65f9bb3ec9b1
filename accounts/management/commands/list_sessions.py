"""List where people are signed in, in browsers and apps."""

from typing import Any

from django.core.management import CommandParser
from django.utils import timezone

from accounts.management.base import ProductCommand
from accounts.management.named import user_named
from accounts.models import SessionFamily, SessionKind
from accounts.services.name_device import name_device

MOST = 1000


class Command(ProductCommand):
    """Places that can still open something; `revoke_tokens --family` ends one."""

    help = "List sessions, newest first."
    lists = True

    def add_options(self, parser: CommandParser) -> None:
        """Declare whose and which."""
        parser.add_argument("--user", help="a username or a usr_ id")
        parser.add_argument("--kind", choices=SessionKind.values, help="browser or mobile")
        parser.add_argument("--limit", type=int, default=MOST, help=f"at most so many ({MOST})")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print them."""
        places = SessionFamily.objects.live(timezone.now()).select_related("user")
        if options["user"] is not None:
            places = places.filter(user=user_named(options["user"]))
        if options["kind"] is not None:
            places = places.filter(kind=options["kind"])
        self.emit([_row(place) for place in places.order_by("-pk")[: max(0, options["limit"])]])


def _row(place: SessionFamily) -> dict[str, Any]:
    return {
        "id": place.public_id,
        "user": place.user.username,
        "kind": place.kind,
        "device": name_device(place.user_agent),
        "address": place.address,
        "created_at": place.created_at,
        "last_seen_at": place.last_used_at,
        "expires_at": place.expires_at,
        "acr": place.acr,
        "amr": " ".join(place.amr),
        "client_id": place.client_id,
    }
