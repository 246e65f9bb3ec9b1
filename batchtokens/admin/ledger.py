"""Ledger entries: the exact text that each hash covers."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from batchtokens.admin.reading import ReadOnlyAdmin, as_json
from batchtokens.models import LedgerEntry
from batchtokens.services.ledger.find_decision import find_decision


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnlyAdmin):
    """The ledger, newest first."""

    list_display = ("id", "operation", "seq", "kind", "at", "hash")
    list_filter = ("kind",)
    list_select_related = ("operation_token",)
    search_fields = ("hash__exact",)
    search_help_text = "An operation (op_…) or an entry's hash."
    date_hierarchy = "at"
    fields = ("operation", "seq", "kind", "at", "contents", "note", "hash", "entry")
    readonly_fields = (*fields, "decision")

    def get_fields(self, request: HttpRequest, obj: LedgerEntry | None = None) -> Any:
        """Show, of the authority's own chain, the decision: its words are not in the row."""
        own = obj is not None and obj.operation_token_id is None
        return ["decision" if own and name == "note" else name for name in self.fields]

    @admin.display(description="decided by")
    def decision(self, entry: LedgerEntry) -> str:
        """Say who decided, why, and whether the entry's digests are those of these words."""
        found = find_decision(entry)
        if found is None:
            return "Nobody in person, or the security log no longer says it."
        reason = f": {found.reason}" if found.reason else ""
        verdict = "as the entry has it" if found.is_as_recorded else "NOT what the entry recorded"
        return f"{found.actor}{reason} ({verdict})"

    def contents(self, entry: LedgerEntry) -> SafeString:
        """Show the entry to be read; `entry` is the text that is hashed."""
        return as_json(json.loads(entry.entry))
