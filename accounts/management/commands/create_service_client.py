"""Register a service client and show its secrets, once."""

from typing import Any

from django.core.management import CommandParser

from accounts.management.base import ProductCommand, Refused, UsageError
from accounts.scopes import CLIENT_SCOPES
from accounts.services.create_service_client import create_service_client
from batchtokens_verifier.errors import InvalidFieldsError


class Command(ProductCommand):
    """Only digests of the secrets are kept: nobody can show them again."""

    help = "Register a service client; its secrets are shown once."
    lists = True

    def add_options(self, parser: CommandParser) -> None:
        """Declare the client."""
        parser.add_argument("name", help="its client_id")
        parser.add_argument("--audience", help="the address that tokens for it name")
        parser.add_argument("--delivery-url", default="", help="where due runs are sent")
        parser.add_argument(
            "--scope",
            nargs="+",
            action="extend",
            default=[],
            choices=list(CLIENT_SCOPES),
            help="what it may do",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Store the client and print it with its secrets."""
        if self.quiet:
            raise UsageError("--quiet would lose the secrets, which are shown once: leave it out.")
        try:
            client, secret = create_service_client(
                client_id=options["name"],
                scopes=options["scope"],
                audience=options["audience"],
                delivery_url=options["delivery_url"],
            )
        except InvalidFieldsError as error:
            first = error.errors[0]
            stop = Refused if first.code == "taken" else UsageError
            raise stop(f"{first.pointer.strip('/')}: {first.detail}") from error
        row: dict[str, Any] = {
            "id": client.public_id,
            "client_id": client.client_id,
            "client_secret": secret,
            "scopes": client.scopes,
            "audience": client.audience,
        }
        if delivery_secret := client.delivery_secret():
            row |= {"delivery_url": client.delivery_url, "delivery_secret": delivery_secret}
        self.emit_one(row)
