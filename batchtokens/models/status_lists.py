"""Status lists: where offline verifiers look whether a token was held or cancelled.

The bits are not stored: they follow from the rows of the tokens that have a place in the list.
"""

from __future__ import annotations

from django.db import models

from accounts.models import IdentifiedModel, ServiceClient

STATUS_LIST_SIZE = 2**20


class StatusList(IdentifiedModel):
    """One executor's list; of its open ones the newest gives places to new tokens."""

    public_prefix = "stl"

    executor = models.ForeignKey(
        ServiceClient, on_delete=models.PROTECT, related_name="status_lists"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    full_at = models.DateTimeField(null=True, help_text="Empty: it still gives places.")

    class Meta:
        indexes = [models.Index(fields=["executor", "-created_at"], name="status_list_by_executor")]

    def __str__(self) -> str:
        return self.public_id
