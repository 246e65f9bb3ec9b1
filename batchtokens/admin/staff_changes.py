"""Staff hold, resume and cancel operations: a reason is asked for, each refusal is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse

from batchtokens.admin.asking import AskingAdmin, Offer, actor_of
from batchtokens.models import HoldKind, OperationToken
from batchtokens.services.mandates.hold import hold_operation, resume_operation
from batchtokens.services.mandates.revoke import cancel_operation
from batchtokens.services.mandates.words import LONGEST_REASON, Words
from batchtokens_verifier.errors import ProblemError

MOST_AT_ONCE = 100
CHANGE_PERMISSION = "batchtokens.change_operationtoken"


@dataclass(frozen=True)
class StaffChange:
    """One verb: what it does, and how the pages speak of it."""

    service: Callable[..., OperationToken]
    label: str
    done: str
    consequence: str


CHANGES: Mapping[str, StaffChange] = {
    "hold": StaffChange(
        hold_operation, "Hold", "held", "No run is accepted until staff resumes the operation."
    ),
    "resume": StaffChange(
        resume_operation,
        "Resume",
        "resumed",
        "Holds of staff and of the trigger are lifted; the person's own hold stays.",
    ),
    "cancel": StaffChange(
        cancel_operation,
        "Cancel",
        "cancelled",
        "This is final. What was redeemed stays redeemed; nothing further runs.",
    ),
}


class ReasonForm(forms.Form):
    reason = forms.CharField(
        max_length=LONGEST_REASON,
        widget=forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"}),
        help_text="It stands in the operation's timeline, where its owner can read it.",
    )


class StaffChangesAdmin(AskingAdmin):
    """Adds the three changes as actions of the list and as pages of their own."""

    def has_staff_change_permission(self, request: HttpRequest) -> bool:
        """Let those change operations who have Django's permission: looking is not enough."""
        return request.user.has_perm(CHANGE_PERMISSION)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Offer the changes for the chosen rows."""
        actions: dict[str, Any] = super().get_actions(request)
        if self.has_staff_change_permission(request):
            for verb, change in CHANGES.items():
                ask = partial(StaffChangesAdmin.ask_for_chosen, verb=verb)
                actions[verb] = (ask, verb, f"{change.label} the chosen operations…")
        return actions

    def get_urls(self) -> list[URLPattern]:
        """Add the page of each change, before the addresses that take any word for a key."""
        pages = [
            path(
                f"{verb}/",
                self.admin_site.admin_view(self.staff_change_view),
                {"verb": verb},
                name=f"batchtokens_operationtoken_{verb}",
            )
            for verb in CHANGES
        ]
        return [*pages, *super().get_urls()]

    def offers(self, request: HttpRequest, row: OperationToken) -> list[Offer]:
        """Offer the changes to those who may make them."""
        if not self.has_staff_change_permission(request):
            return super().offers(request, row)
        return [
            Offer(change.label, f"{_address(verb)}?ids={row.pk}")
            for verb, change in CHANGES.items()
        ]

    def ask_for_chosen(
        self, request: HttpRequest, queryset: QuerySet[OperationToken], *, verb: str
    ) -> HttpResponse | None:
        """Show the page that asks for the reason; None shows the list again."""
        if queryset.count() > MOST_AT_ONCE:
            messages.error(request, f"Choose at most {MOST_AT_ONCE} operations at once.")
            return None
        return self._ask(request, verb, list(queryset), ReasonForm())

    def staff_change_view(self, request: HttpRequest, verb: str) -> HttpResponse:
        """Ask for the reason (GET), or apply the change with it (POST)."""
        if not self.has_staff_change_permission(request):
            raise PermissionDenied
        sent = request.method == "POST"
        chosen = _chosen((request.POST if sent else request.GET).getlist("ids"))
        form = ReasonForm(request.POST if sent else None)
        if not form.is_valid():
            return self._ask(request, verb, chosen, form)
        self._apply(request, verb, chosen, reason=form.cleaned_data["reason"])
        if len(chosen) == 1:
            return redirect("admin:batchtokens_operationtoken_change", chosen[0].pk)
        return redirect("admin:batchtokens_operationtoken_changelist")

    def _ask(
        self, request: HttpRequest, verb: str, chosen: list[OperationToken], form: ReasonForm
    ) -> HttpResponse:
        change = CHANGES[verb]
        return self.ask(
            request,
            form,
            title=f"{change.label} operations",
            verb=change.label,
            page="operationtoken/staff_change.html",
            address=_address(verb),
            consequence=change.consequence,
            chosen=chosen,
        )

    def _apply(
        self, request: HttpRequest, verb: str, chosen: Iterable[OperationToken], *, reason: str
    ) -> None:
        """Change each in a transaction of its own, so that a refusal does not stop the others.

        The ledger keeps a digest of who it was; Django's own log says it.
        """
        change, done = CHANGES[verb], 0
        words = Words(actor_of(request), reason)
        for token in chosen:
            try:
                change.service(operation_id=token.pk, by=HoldKind.STAFF, words=words)
            except ProblemError as refusal:
                messages.error(request, f"Not {change.done}: {token.public_id}. {refusal}")
            else:
                self.log_change(request, token, f"{change.done}: {reason}")
                done += 1
        if done:
            messages.success(request, f"{done} {change.done}.")


def _address(verb: str) -> str:
    return reverse(f"admin:batchtokens_operationtoken_{verb}")


def _chosen(ids: list[str]) -> list[OperationToken]:
    """Return the operations of these ids. Raises Http404 for anything else."""
    field = forms.ModelMultipleChoiceField(OperationToken.objects.all())
    if len(ids) > MOST_AT_ONCE:
        raise Http404
    try:
        return list(field.clean(ids))
    except ValidationError as error:
        raise Http404 from error
