"""Find what an operator names on the command line, and name the operator."""

import getpass
import uuid

from accounts.errors import UnknownId
from accounts.ids import parse_public_id
from accounts.management.base import NothingMatched, UsageError
from accounts.models import ServiceClient, User


def user_named(text: str) -> User:
    """Return the person of this username or usr_ id.

    Raises NothingMatched, UsageError.
    """
    named = User.objects.filter(username_folded=text)
    if text.startswith(f"{User.public_prefix}_"):
        named = User.objects.filter(pk=id_named(text, User.public_prefix))
    user = named.first()
    if user is None:
        raise NothingMatched(f"There is no user {text}.")
    return user


def client_named(text: str) -> ServiceClient:
    """Return the service client of this name.

    Raises NothingMatched.
    """
    client = ServiceClient.objects.filter(client_id=text).first()
    if client is None:
        raise NothingMatched(f"There is no service client {text}.")
    return client


def operator(name: str | None = None) -> str:
    """Return what the records call an operator, by default the account that runs the command."""
    return f"operator:{name or getpass.getuser()}"


def id_named(text: str, prefix: str) -> uuid.UUID:
    """Return the row's key.

    Raises UsageError for what is no id of this kind.
    """
    try:
        return parse_public_id(text, prefix)
    except UnknownId:
        raise UsageError(f"{text} is no {prefix}_ id.") from None
