"""Consents: what people were shown, and whether they confirmed it. Nobody edits their word."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.safestring import SafeString

from batchtokens.admin.reading import ReadOnlyAdmin, as_json, link
from batchtokens.models import Consent


@admin.register(Consent)
class ConsentAdmin(ReadOnlyAdmin):
    """Consents, newest first."""

    operation_field = "operation_token__pk"
    list_display = (
        "public_id",
        "status",
        "user",
        "operation_type",
        "client_name",
        "created_at",
        "confirmed_with",
        "spent_at",
    )
    list_filter = ("client", "language")
    list_select_related = ("user", "client", "operation_type")
    search_fields = (
        "user__username_folded__startswith",
        "user__email_folded__exact",
        "mandate_digest__exact",
        "parameter_digest__exact",
    )
    search_help_text = "An operation (op_…), a person, or a digest."
    date_hierarchy = "created_at"
    fieldsets = (
        (None, {"fields": ("public_id", "status", "user", "bought")}),
        ("What was shown", {"fields": ("summary", ("language", "template_version"))}),
        (
            "What it is about",
            {
                "fields": (
                    ("operation_type", "client_name"),
                    "mandate",
                    "parameter_digest",
                    "mandate_digest",
                )
            },
        ),
        (
            "When",
            {
                "fields": (
                    ("created_at", "expires_at"),
                    ("confirmed_at", "confirmed_with"),
                    "spent_at",
                )
            },
        ),
    )
    readonly_fields = ("public_id", "status", "bought", "client_name", "mandate")

    @admin.display(description="status")
    def status(self, row: Any) -> str:
        """Tell the status at the page's instant."""
        return str(row.status_at(row.clock).label)

    @admin.display(description="trigger", ordering="client")
    def client_name(self, row: Consent) -> str:
        """Name the trigger that it is for."""
        return row.client_name

    @admin.display(description="mandate")
    def mandate(self, row: Consent) -> SafeString:
        """Show the whole element that was to be granted."""
        return as_json(row.details)

    @admin.display(description="operation")
    def bought(self, row: Consent) -> SafeString | str:
        """Link to what it bought."""
        token = getattr(row, "operation_token", None)
        return link("operationtoken", token.public_id, pk=token.pk) if token else "none"
