"""Replace an API key by a new one for the same, and show that, once."""

from typing import Any

from django.core.management import CommandParser

from accounts.management.arguments import duration
from accounts.management.base import NothingMatched, ProductCommand, UsageError
from accounts.management.key_rows import shown_once
from accounts.management.named import id_named
from accounts.models import ApiKey
from accounts.services.rotate_api_key import rotate_api_key
from batchtokens_verifier.errors import InvalidFieldsError


class Command(ProductCommand):
    """The old key still opens during the overlap, so that its holder can change over."""

    help = "Make the successor of an API key; it is shown once."
    lists = True

    def add_options(self, parser: CommandParser) -> None:
        """Declare which key, and how long it goes on."""
        parser.add_argument("key", help="a key_ id, as list_api_keys prints it")
        parser.add_argument(
            "--overlap",
            type=duration,
            required=True,
            help="how long the old key still opens, such as 24h; 0s: no longer",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Store the successor and print it."""
        if self.quiet:
            raise UsageError("--quiet would lose the key, which is shown once: leave it out.")
        chosen = ApiKey.objects.filter(pk=id_named(options["key"], ApiKey.public_prefix))
        api_key = chosen.select_related("client", "user").first()
        if api_key is None:
            raise NothingMatched(f"There is no key {options['key']}.")
        try:
            new = rotate_api_key(api_key=api_key, overlap=options["overlap"])
        except InvalidFieldsError as error:
            raise UsageError(f"--overlap: {error.errors[0].detail}") from error
        self.emit_one(shown_once(new))
