"""Every REST endpoint, as the URL resolver knows it, and the scopes that its permissions want."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from django.urls import URLResolver, get_resolver
from rest_framework.permissions import SAFE_METHODS, AllowAny
from rest_framework.views import APIView

from accounts.api.permissions import IsServiceClient, ScopePermission

NOBODY = "0" * 32
_PARAMETER = re.compile("<(?P<kind>[a-z_]+:)?[a-z_]+>")


@dataclass(frozen=True)
class Endpoint:
    """One method of one address; an id in the address is a well-formed one of nobody."""

    method: str
    path: str
    view: type[APIView]
    scopes: frozenset[str]
    is_public: bool
    is_for_machines: bool

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_safe(self) -> bool:
        return self.method in SAFE_METHODS


def endpoints() -> list[Endpoint]:
    """Return every method of every REST view."""
    return [each for path, view in _views(get_resolver(), "/") for each in _methods(path, view)]


def _views(resolver: URLResolver, prefix: str) -> Iterator[tuple[str, type[APIView]]]:
    for entry in resolver.url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _views(entry, route)
            continue
        view = getattr(entry.callback, "cls", None)
        if view is not None and view.__module__.split(".")[0] in {"accounts", "batchtokens"}:
            yield _filled(route), view


def _filled(route: str) -> str:
    """Put the id of nobody, or the number 1, where the route has a parameter."""
    return _PARAMETER.sub(lambda found: "1" if found["kind"] == "int:" else f"x_{NOBODY}", route)


def _methods(path: str, view: type[APIView]) -> Iterator[Endpoint]:
    for method in ("get", "post", "put", "patch", "delete"):
        if hasattr(view, method):
            permissions = _permissions(view, method.upper())
            yield Endpoint(
                method=method.upper(),
                path=path,
                view=view,
                scopes=frozenset(p.scope for p in permissions if isinstance(p, ScopePermission)),
                is_public=any(isinstance(p, AllowAny) for p in permissions),
                is_for_machines=any(isinstance(p, IsServiceClient) for p in permissions),
            )


def _permissions(view: type[APIView], method: str) -> list[Any]:
    instance = view()
    instance.request = SimpleNamespace(method=method)  # type: ignore[assignment] # all they ask
    return list(instance.get_permissions())
