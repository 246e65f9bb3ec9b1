"""Operation types: written as the JSON that `create_operation_type` takes, and switched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from batchtokens.admin.asking import Offer
from batchtokens.admin.reading import as_json, money
from batchtokens.admin.switching import SwitchedAdmin
from batchtokens.models import OperationToken, OperationType
from batchtokens.services.operation_types.create_operation_type import create_operation_type
from batchtokens.services.operation_types.find_last_switch import find_last_switch
from batchtokens.services.operation_types.switch_operation_type import (
    CONSEQUENCES,
    switch_operation_type,
)
from batchtokens_verifier.canonical import parse_json
from batchtokens_verifier.constraints import Amount
from batchtokens_verifier.errors import ProblemError

BLANK: Mapping[str, Any] = {
    "name": "",
    "meta_scope": "",
    "scope": "",
    "executor": "",
    "trigger_clients": [],
    "summary": "",
    "schema": {
        "type": "object",
        "additionalProperties": False,
        "required": ["action"],
        "properties": {"action": {"const": ""}},
    },
}


class DefinitionForm(forms.Form):
    definition = forms.CharField(
        widget=forms.Textarea(
            attrs={"rows": 40, "class": "vLargeTextField", "spellcheck": "false"}
        ),
        help_text="JSON, as manage.py create_operation_type takes it.",
    )

    def clean_definition(self) -> Mapping[str, Any]:
        """Return the definition as an object."""
        try:
            definition = parse_json(self.cleaned_data["definition"])
        except ProblemError as error:
            raise ValidationError(str(error)) from error
        if not isinstance(definition, dict):
            raise ValidationError("A JSON object is needed.")
        return definition


def definition_of(kind: OperationType) -> dict[str, Any]:
    """Return the definition that makes this version again."""
    total = kind.max_total_minor
    members = {
        "name": kind.name,
        "meta_scope": kind.meta_scope,
        "scope": kind.scope,
        "executor": kind.executor.client_id,
        "trigger_clients": sorted(client.client_id for client in kind.trigger_clients.all()),
        "consent": kind.consent,
        "max_lifetime_days": kind.max_lifetime_days,
        "max_live_mandates": kind.max_live_mandates,
        "max_total": Amount(total, kind.max_total_currency).as_json() if total else None,
        "max_authentication_age": kind.max_authentication_age,
        "required_acr": kind.required_acr or None,
        "summary": kind.summary_template,
        "schema": kind.schema,
    }
    return {name: value for name, value in members.items() if value is not None}


@admin.register(OperationType)
class OperationTypeAdmin(SwitchedAdmin):
    """Every version of every type; a definition that differs makes the next one."""

    operation_field = "operationtoken"
    ordering = ("name", "-version")
    switch_permission = "batchtokens.change_operationtype"  # also to define anew
    consequences = CONSEQUENCES
    list_display = (
        "name",
        "version",
        "is_current",
        "is_active",
        "has_issued",
        "executor",
        "scope",
        "meta_scope",
        "consent",
    )
    list_filter = ("is_current", "is_active", "consent")
    list_select_related = ("executor",)
    search_fields = ("name", "meta_scope", "scope")
    search_help_text = "A name, a scope, or one of its operations (op_…)."
    fields = (
        ("name", "version"),
        ("is_current", "is_active", "has_issued"),
        "switched",
        ("meta_scope", "scope"),
        ("executor", "trigger_clients"),
        "consent",
        ("max_lifetime_days", "max_live_mandates", "cap"),
        ("max_authentication_age", "required_acr"),
        "summary_template",
        "operation_schema",
        "created_at",
    )
    readonly_fields = ("has_issued", "switched", "cap", "operation_schema", "created_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the versions, with whether they have issued."""
        tokens = OperationToken.objects.filter(operation_type=OuterRef("pk"))
        rows: QuerySet[Any] = super().get_queryset(request)
        marked: QuerySet[Any] = rows.annotate(issued=Exists(tokens))
        return marked

    @admin.display(description="has issued", boolean=True)
    def has_issued(self, kind: Any) -> bool:
        """Tell whether a token of this version is out: then it never changes."""
        return bool(kind.issued)

    @admin.display(description="last stopped or started")
    def switched(self, kind: OperationType) -> str:
        """Say when, by whom and why, as far as the security log says it."""
        last = find_last_switch(name=kind.name)
        return f"{last.at:%Y-%m-%d %H:%M} UTC, {last.by}: {last.reason}" if last else "never"

    @admin.display(description="total of a person")
    def cap(self, kind: OperationType) -> str:
        """Return the cap with its currency."""
        return money(kind.max_total_minor, kind.max_total_currency) or "no cap"

    @admin.display(description="schema")
    def operation_schema(self, kind: OperationType) -> SafeString:
        """Show the schema."""
        return as_json(kind.schema)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let those define types who have Django's permission."""
        return request.user.has_perm("batchtokens.add_operationtype")

    def get_urls(self) -> list[URLPattern]:
        """Add the page of a definition."""
        view = self.admin_site.admin_view(self.definition_view)
        page = path("<uuid:pk>/definition/", view, name="batchtokens_operationtype_definition")
        return [page, *super().get_urls()]

    def offers(self, request: HttpRequest, row: OperationType) -> list[Offer]:
        """Offer to define the current version anew."""
        if not (row.is_current and self.may_switch(request)):
            return super().offers(request, row)
        address = reverse("admin:batchtokens_operationtype_definition", args=[row.pk])
        return [Offer("Define anew", address), *super().offers(request, row)]

    def runs(self, row: OperationType) -> bool:
        """Say whether it is issued and run."""
        return row.is_active

    def named(self, row: OperationType) -> str:
        """Return its name, which stands for every version."""
        return row.name

    def switch(self, row: OperationType, *, stop: bool, reason: str, actor: str) -> None:
        """Stop or start every version."""
        switch_operation_type(name=row.name, is_active=not stop, reason=reason, actor=actor)

    def add_view(
        self,
        request: HttpRequest,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Define a new type."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        return self._define(request, BLANK, title="Define an operation type")

    def definition_view(self, request: HttpRequest, pk: str) -> HttpResponse:
        """Define a type anew: a version that has issued stays, and gets a successor."""
        if not self.may_switch(request):
            raise PermissionDenied
        kind = get_object_or_404(OperationType.objects.current().select_related("executor"), pk=pk)
        return self._define(request, definition_of(kind), title=f"Define {kind.name} anew")

    def _define(
        self, request: HttpRequest, definition: Mapping[str, Any], *, title: str
    ) -> HttpResponse:
        text = json.dumps(definition, indent=2, ensure_ascii=False)
        form = DefinitionForm(request.POST or None, initial={"definition": text})
        if form.is_valid():
            try:
                kind = create_operation_type(definition=form.cleaned_data["definition"])
            except ProblemError as error:
                form.add_error("definition", f"{error.pointer or 'The definition'}: {error}")
            else:
                self.log_change(request, kind, "defined")
                messages.success(request, f"Defined: {kind}.")
                return redirect("admin:batchtokens_operationtype_change", kind.pk)
        return self.ask(request, form, title=title, verb="Save")
