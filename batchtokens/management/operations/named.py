"""Find the operation, the type or the key that an operator names."""

from accounts.management.base import NothingMatched
from accounts.management.named import id_named
from accounts.models import SigningKey
from batchtokens.models import OperationToken, OperationType


def operation_named(text: str) -> OperationToken:
    """Return the operation of this op_ id, with whom and what it concerns.

    Raises NothingMatched, UsageError.
    """
    everyone = ("user", "client", "executor", "operation_type", "consent")
    rows = OperationToken.objects.select_related(*everyone)
    found = rows.filter(pk=id_named(text, OperationToken.public_prefix)).first()
    if found is None:
        raise NothingMatched(f"There is no operation {text}.")
    return found


def type_named(text: str) -> str:
    """Return the name of this operation type. Raises NothingMatched."""
    if not OperationType.objects.filter(name=text).exists():
        raise NothingMatched(f"There is no operation type {text}.")
    return text


def key_named(text: str) -> str:
    """Return the id of this signing key. Raises NothingMatched."""
    if not SigningKey.objects.filter(kid=text).exists():
        raise NothingMatched(f"There is no signing key {text}.")
    return text
