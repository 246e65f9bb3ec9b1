"""Register a service client and show its secrets, once."""

from pathlib import Path
from typing import Any

from django.core.management import CommandParser

from accounts.management.base import ProductCommand, Refused, UsageError
from accounts.scopes import CLIENT_SCOPES
from accounts.services.create_service_client import create_service_client
from batchtokens_verifier.canonical import parse_json
from batchtokens_verifier.errors import InvalidFieldsError, InvalidOperation


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
        parser.add_argument(
            "--jwks-file",
            type=Path,
            help="its public keys for private_key_jwt, as a JWK Set; each with kid and alg",
        )
        parser.add_argument(
            "--no-secret", action="store_true", help="with --jwks-file: it needs no secret"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Store the client and print it with its secrets."""
        if self.quiet:
            raise UsageError("--quiet would lose the secrets, which are shown once: leave it out.")
        if options["no_secret"] and not options["jwks_file"]:
            raise UsageError("--no-secret needs --jwks-file: it could not authenticate.")
        try:
            client, secret = create_service_client(
                client_id=options["name"],
                scopes=options["scope"],
                audience=options["audience"],
                delivery_url=options["delivery_url"],
                jwks=_read_jwks(options["jwks_file"]) if options["jwks_file"] else None,
                with_secret=not options["no_secret"],
            )
        except InvalidFieldsError as error:
            first = error.errors[0]
            stop = Refused if first.code == "taken" else UsageError
            raise stop(f"{first.pointer.strip('/')}: {first.detail}") from error
        row: dict[str, Any] = {
            "id": client.public_id,
            "client_id": client.client_id,
            **({"client_secret": secret} if secret else {}),
            "scopes": client.scopes,
            "audience": client.audience,
            **({"kids": [key["kid"] for key in client.jwks["keys"]]} if client.jwks else {}),
        }
        if delivery_secret := client.delivery_secret():
            row |= {"delivery_url": client.delivery_url, "delivery_secret": delivery_secret}
        self.emit_one(row)


def _read_jwks(path: Path) -> object:
    """Read the file; what a key set is, the service says."""
    try:
        return parse_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"--jwks-file cannot be read: {error.strerror}.") from None
    except InvalidOperation:
        raise UsageError("--jwks-file is not valid JSON.") from None
