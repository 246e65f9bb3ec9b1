"""Read the operation types that may be asked for now."""

from batchtokens.models import OperationType


def meta_scopes() -> dict[str, str]:
    """Return the meta-scope of each active type, with what it lets its holder ask for."""
    names = OperationType.objects.active().values_list("meta_scope", "name")
    return {scope: f"Ask for an operation token of the type {name}." for scope, name in names}


def operation_type_names() -> list[str]:
    """Return the names of the active types."""
    return list(OperationType.objects.active().order_by("name").values_list("name", flat=True))
