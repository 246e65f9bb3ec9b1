"""Ledger entries: the exact text that each hash covers."""

from __future__ import annotations

import json

from django.contrib import admin
from django.utils.safestring import SafeString

from batchtokens.admin.reading import ReadOnlyAdmin, as_json
from batchtokens.models import LedgerEntry


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
    readonly_fields = fields

    def contents(self, entry: LedgerEntry) -> SafeString:
        """Show the entry to be read; `entry` is the text that is hashed."""
        return as_json(json.loads(entry.entry))
