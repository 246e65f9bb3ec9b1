"""Make an API key for a service client or a person, and show it, once."""

from typing import Any

from django.core.management import CommandParser
from django.utils import timezone

from accounts.errors import InvalidScope
from accounts.management.arguments import duration, name, network
from accounts.management.base import ProductCommand, UsageError
from accounts.management.key_rows import shown_once
from accounts.management.named import client_named, user_named
from accounts.models import User
from accounts.scopes import CLIENT_SCOPES, USER_SCOPES
from accounts.services.create_api_key import create_api_key, scopes_of
from batchtokens_verifier.errors import InvalidFieldsError


class Command(ProductCommand):
    """Only a digest of the key is kept: nobody can show it again."""

    help = "Make an API key for a service client or a person; it is shown once."
    lists = True

    def add_options(self, parser: CommandParser) -> None:
        """Declare whose key, and what it opens."""
        owner = parser.add_mutually_exclusive_group(required=True)
        owner.add_argument("--client", type=name, help="a service client's name")
        owner.add_argument("--user", type=name, help="a username or a usr_ id")
        parser.add_argument("--name", required=True, help="what its owner knows it by")
        parser.add_argument(
            "--scope",
            nargs="+",
            action="extend",
            choices=[*USER_SCOPES, *CLIENT_SCOPES],
            help="what it opens; a client's: all that the client may, unless named",
        )
        parser.add_argument(
            "--expires-in", type=duration, help="such as 90d; a person's key must expire"
        )
        parser.add_argument(
            "--network",
            nargs="+",
            action="extend",
            default=[],
            type=network,
            help="where it may be used from, such as 192.0.2.0/24; default: anywhere",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Store the key and print it."""
        if self.quiet:
            raise UsageError("--quiet would lose the key, which is shown once: leave it out.")
        by_client = options["client"] is not None
        owner = client_named(options["client"]) if by_client else user_named(options["user"])
        if isinstance(owner, User) and not options["scope"]:
            raise UsageError("A person's key needs --scope.")
        now, lives = timezone.now(), options["expires_in"]
        try:
            new = create_api_key(
                owner=owner,
                name=options["name"],
                scopes=options["scope"],
                expires_at=None if lives is None else now + lives,
                networks=options["network"],
                now=now,
            )
        except InvalidScope:
            allowed = " ".join(scopes_of(owner)) or "none"
            raise UsageError(f"--scope takes what its owner has: {allowed}.") from None
        except InvalidFieldsError as error:
            first = error.errors[0]
            raise UsageError(f"{first.pointer.strip('/')}: {first.detail}") from error
        self.emit_one(shown_once(new))
