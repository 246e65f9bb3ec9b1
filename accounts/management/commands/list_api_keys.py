"""List API keys, without the keys themselves."""

from typing import Any

from django.core.management import CommandParser
from django.utils import timezone

from accounts.management.arguments import duration, name
from accounts.management.base import ProductCommand
from accounts.management.key_rows import row_of
from accounts.management.named import client_named, user_named
from accounts.models import ApiKey
from accounts.models.api_key import ApiKeyQuerySet


class Command(ProductCommand):
    """Public facts alone, oldest first."""

    help = "List the API keys of service clients and people that nobody has revoked."
    lists = True

    def add_options(self, parser: CommandParser) -> None:
        """Declare whose and which."""
        owner = parser.add_mutually_exclusive_group()
        owner.add_argument("--client", type=name, help="a service client's name")
        owner.add_argument("--user", type=name, help="a username or a usr_ id")
        parser.add_argument(
            "--expiring-within", type=duration, help="usable now, but not after so long: 14d"
        )
        parser.add_argument("--unused-for", type=duration, help="not used for, such as 90d")
        parser.add_argument("--revoked", action="store_true", help="those revoked, instead")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print them."""
        keys = _chosen(options).select_related("client", "user", "successor").order_by("id")
        self.emit([row_of(api_key) for api_key in keys.iterator()])


def _chosen(options: dict[str, Any]) -> ApiKeyQuerySet:
    now = timezone.now()
    keys = ApiKey.objects.all()
    keys = keys.exclude(revoked_at=None) if options["revoked"] else keys.unrevoked()
    if options["client"] is not None:
        keys = keys.filter(client=client_named(options["client"]))
    if options["user"] is not None:
        keys = keys.for_user(user_named(options["user"]))
    if options["expiring_within"] is not None:
        keys = keys.usable(now).filter(expires_at__lte=now + options["expiring_within"])
    if options["unused_for"] is not None:
        keys = keys.unused_since(now - options["unused_for"])
    return keys
