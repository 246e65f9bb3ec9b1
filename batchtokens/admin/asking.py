"""Pages that ask before something is changed, and the links that lead to them from one row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from django import forms
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse

from accounts.models import User
from batchtokens.admin.reading import ReadOnlyAdmin


@dataclass(frozen=True)
class Offer:
    """What the reader of one row may do with it, and where."""

    label: str
    address: str


class AskingAdmin(ReadOnlyAdmin):
    """Adds the offers to the page of one row."""

    def offers(self, request: HttpRequest, row: Any) -> list[Offer]:
        """Return what this reader may do with the row."""
        return []

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> Any:
        """Show the row with the offers."""
        context["offers"] = self.offers(request, options.get("obj"))
        return super().render_change_form(request, context, *args, **options)

    def ask(
        self,
        request: HttpRequest,
        form: forms.Form,
        *,
        title: str,
        verb: str,
        page: str = "ask.html",
        back: str = "",
        **context: Any,
    ) -> TemplateResponse:
        """Show the form. verb: its button. back: where else to go, if not to the list."""
        whole = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "form": form,
            "verb": verb,
            "back": back or reverse(f"admin:batchtokens_{self.opts.model_name}_changelist"),
            **context,
        }
        return TemplateResponse(request, f"admin/batchtokens/{page}", whole)


def actor_of(request: HttpRequest) -> str:
    """Return the public id of who decides."""
    return cast("User", request.user).public_id
