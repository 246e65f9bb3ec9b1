"""Which addresses have volume limits, read from the views that the addresses lead to."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from accounts.api.throttles import is_limited, limits_of
from accounts.limits import Limit


@dataclass(frozen=True, slots=True)
class Address:
    """One address and the class of its view, None for a plain function."""

    name: str
    route: str
    view: Any

    @property
    def limits(self) -> list[Limit]:
        """Return its limits, in the order in which they count."""
        return limits_of(self.view)

    @property
    def methods(self) -> list[str]:
        """Return what may be asked for there."""
        known = ("get", "post", "put", "patch", "delete")
        return [method.upper() for method in known if hasattr(self.view, method)]

    def __str__(self) -> str:
        """Return methods and path as documents write them: `POST /api/v1/auth/token`.

        Where some requests are limited, only those are named.
        """
        path = self.route.replace("<str:", "<").replace("<", "{").replace(">", "}")
        limited = [method for method in self.methods if is_limited(self.view, method)]
        return f"{', '.join(limited or self.methods)} /{path}"


def addresses() -> list[Address]:
    """Return every named address, in the order of the URL configuration."""
    return list(_walk(get_resolver().url_patterns, ""))


def _walk(patterns: list[URLPattern | URLResolver], prefix: str) -> Iterator[Address]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, route)
        elif pattern.name:
            yield Address(pattern.name, route, getattr(pattern.callback, "cls", None))
