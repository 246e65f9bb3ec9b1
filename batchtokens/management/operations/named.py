"""Find the operation that an operator names."""

from accounts.management.base import NothingMatched
from accounts.management.named import id_named
from batchtokens.models import OperationToken


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
