"""The page that stops or starts something: it wants a reason, and says which of the two it asks."""

from __future__ import annotations

from dataclasses import dataclass

from django import forms
from django.http import HttpRequest

from batchtokens.services.redemption.stop_executor import LONGEST_REASON


class SwitchForm(forms.Form):
    reason = forms.CharField(
        max_length=LONGEST_REASON,
        widget=forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"}),
        help_text="Why; it is kept in the security log.",
    )


@dataclass(frozen=True)
class Asked:
    """reason: "" until the form was sent with one, and with what is wanted."""

    stop: bool
    form: SwitchForm
    reason: str = ""


def asked_for(request: HttpRequest, *, runs: bool) -> Asked:
    """Read what the page was asked for; by default the other of what is now.

    The page says which: two who ask for the same at once do not undo each other.
    """
    sent = request.method == "POST"
    wanted = request.POST.get("wanted") if sent else None
    form = SwitchForm(request.POST if sent else None)
    if wanted not in {"stop", "start"}:
        return Asked(runs, form)
    reason = form.cleaned_data["reason"] if form.is_valid() else ""
    return Asked(wanted == "stop", form, reason)
