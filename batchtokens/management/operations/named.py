"""Find what an operator names: an unknown name is told with the known ones, where they are few."""

from collections.abc import Iterable
from itertools import islice

from accounts.management.base import NothingMatched
from accounts.management.named import id_named
from accounts.models import FIRST_PARTY, ServiceClient, SigningKey
from batchtokens.models import OperationToken, OperationType
from batchtokens.services.redemption.read_executor import all_executors

FEW = 12


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
        names = OperationType.objects.current().order_by("name").values_list("name", flat=True)
        raise _unknown("operation type", text, names)
    return text


def key_named(text: str) -> str:
    """Return the id of this signing key. Raises NothingMatched."""
    if not SigningKey.objects.filter(kid=text).exists():
        raise NothingMatched(f"There is no signing key {text}; list_keys shows them.")
    return text


def executor_named(text: str) -> ServiceClient:
    """Return the service client of this name. Raises NothingMatched, with those that execute."""
    client = ServiceClient.objects.filter(client_id=text).first()
    if client is None:
        raise _unknown("service client", text, all_executors().values_list("client_id", flat=True))
    return client


def trigger_named(text: str) -> ServiceClient | None:
    """Return the trigger of this name; None: the built-in one. Raises NothingMatched."""
    if text == FIRST_PARTY:
        return None
    client = ServiceClient.objects.filter(client_id=text).first()
    if client is None:
        triggers = ServiceClient.objects.filter(triggered_types__isnull=False).distinct()
        names = triggers.order_by("client_id").values_list("client_id", flat=True)
        raise _unknown("service client", text, [FIRST_PARTY, *names[:FEW]])
    return client


def _unknown(what: str, text: str, names: Iterable[str]) -> NothingMatched:
    known = list(islice(names, FEW + 1))
    told = f"; known are {', '.join(known)}" if 1 <= len(known) <= FEW else ""
    return NothingMatched(f"There is no {what} {text}{told}.")
