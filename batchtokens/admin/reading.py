"""The base of these pages: rows are shown, found by their operation, and linked to each other."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.errors import UnknownId
from accounts.ids import parse_public_id
from batchtokens.models import AUTHORITY
from batchtokens.models.clock import DatabaseClock
from batchtokens_verifier.constraints import Amount

# Generic in their type stubs only.
if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin


class ReadOnlyAdmin(ModelAdmin):
    """Rows that nobody adds, edits or deletes by hand; `op_…` finds those of one operation."""

    operation_field = "operation_token"
    ordering: ClassVar[tuple[str, ...]] = ("-id",)
    list_per_page = 50
    # Counting a large table for "50 results (1000000 total)" helps nobody.
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows with `clock`, the instant that computed states are told for."""
        rows: QuerySet[Any] = super().get_queryset(request)
        dated: QuerySet[Any] = rows.annotate(clock=DatabaseClock())
        return dated

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find by an operation's public id, or else in `search_fields`."""
        try:
            operation = parse_public_id(search_term.strip(), "op")
        except UnknownId:
            return super().get_search_results(request, queryset, search_term)
        return queryset.filter(**{self.operation_field: operation}), False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Add nothing."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Change nothing."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Delete nothing."""
        return False

    @admin.display(description="operation", ordering="operation_token")
    def operation(self, row: Any) -> SafeString | str:
        """Link to the row's operation token; an entry of the authority's own chain has none."""
        token = row.operation_token
        if token is None:
            return AUTHORITY
        return link("operationtoken", token.public_id, pk=token.pk)


class ChoiceFilter(admin.SimpleListFilter):
    """A filter by a state that time decides, so that no column has it."""

    choices_shown: Iterable[tuple[str, str]] = ()

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]
    ) -> list[tuple[Any, Any]]:
        """Return the states."""
        return list(self.choices_shown)


def link(model: str, text: str, *, pk: Any = None, **filters: Any) -> SafeString:
    """Return a link to one row, or to the list of rows that match `filters`."""
    if pk is not None:
        address = reverse(f"admin:batchtokens_{model}_change", args=[pk])
    else:
        address = f"{reverse(f'admin:batchtokens_{model}_changelist')}?{urlencode(filters)}"
    return format_html('<a href="{}">{}</a>', address, text)


def as_json(value: Any) -> SafeString:
    """Return a value as indented JSON."""
    return format_html("<pre>{}</pre>", json.dumps(value, indent=2, ensure_ascii=False))


def money(minor: int | None, currency: str) -> str:
    """Return minor units as people write them; "" where there are none."""
    if minor is None or not currency:
        return ""
    return f"{Amount(minor, currency)}\N{NO-BREAK SPACE}{currency}"
