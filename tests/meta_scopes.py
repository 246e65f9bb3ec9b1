"""Stands in for the operation types that offer meta-scopes."""

from collections.abc import Iterator
from contextlib import contextmanager

from accounts.scopes import META_SCOPE_PROVIDERS


@contextmanager
def of(*names: str) -> Iterator[None]:
    """Let these meta-scopes exist."""

    def provider() -> dict[str, str]:
        return dict.fromkeys(names, "A meta-scope of a test.")

    META_SCOPE_PROVIDERS.append(provider)
    try:
        yield
    finally:
        META_SCOPE_PROVIDERS.remove(provider)
