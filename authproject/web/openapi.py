"""What every operation of the API's description says beside its own form: scope and problems."""

from collections.abc import Iterable
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import Direction
from rest_framework import serializers
from rest_framework.permissions import SAFE_METHODS, AllowAny

from accounts.api.openapi import ApiKeyScheme, BearerScheme
from accounts.api.permissions import IsServiceClient, IsUser, ScopePermission
from authproject.problems import PROBLEM_TYPE


class FieldProblem(serializers.Serializer[Any]):
    pointer = serializers.CharField(help_text="JSON pointer (RFC 6901) of the refused field.")
    code = serializers.CharField()
    detail = serializers.CharField()


class Problem(serializers.Serializer[Any]):
    """A problem document (RFC 9457). Programs read `code`, which never changes."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField()
    request_id = serializers.CharField(help_text="Name it when you ask for help.")
    # DRF's metaclass takes it for a field, as the wire's name demands.
    errors = FieldProblem(many=True, required=False)  # type: ignore[assignment] # see above
    redemption_id = serializers.CharField(
        required=False, help_text="With `slot_already_redeemed`: the redemption that has the slot."
    )
    mfa_token = serializers.CharField(
        required=False, help_text="With `mfa_required`: what auth/token/totp is called with."
    )
    expires_in = serializers.IntegerField(
        required=False, help_text="With `mfa_required`: seconds that the token is good for."
    )
    acr_values = serializers.CharField(
        required=False, help_text="With `insufficient_user_authentication`: the level wanted."
    )
    max_age = serializers.IntegerField(
        required=False, help_text="With it, where age matters: seconds since the sign-in, at most."
    )


class ProblemSchema(AutoSchema):
    """Adds to each operation the scope that it needs and the refusals that it can answer."""

    def get_description(self) -> str:  # type: ignore[override] # AutoSchema's own signature
        """Return the docstring and who may call."""
        return f"{super().get_description()}\n\n{needs_of(self.view.get_permissions())}".strip()

    def get_auth(self) -> list[dict[str, list[str]]]:
        """Return the ways to authenticate; a person has tokens, and keys that only read."""
        ways: list[dict[str, list[str]]] = super().get_auth()
        if any(isinstance(p, IsUser) for p in self.view.get_permissions()):
            reading = self.method in SAFE_METHODS
            personal = {BearerScheme.name, *([ApiKeyScheme.name] if reading else [])}
            return [way for way in ways if personal & way.keys()]
        return ways

    def _get_response_bodies(self, direction: Direction = "response") -> dict[str, Any]:
        responses: dict[str, Any] = super()._get_response_bodies(direction)
        return {**responses, **{code: self._problem(text) for code, text in self._refusals()}}

    def _refusals(self) -> Iterable[tuple[str, str]]:
        if not any(isinstance(p, AllowAny) for p in self.view.get_permissions()):
            yield "401", "There is no valid credential."
            yield "403", "The credential does not allow it, or the operation does not."
        if "{" in self.path:
            yield "404", "There is no such thing, or it is somebody else's."
        yield "default", "Any other refusal: a bad request, a conflict, a limit, an outage."

    def _problem(self, text: str) -> dict[str, Any]:
        component = self.resolve_serializer(Problem, "response")
        return {"description": text, "content": {PROBLEM_TYPE: {"schema": component.ref}}}


def needs_of(permissions: Iterable[object]) -> str:
    """Say in a sentence which credential and which scope a view's permissions want."""
    needs = [need for need in (_need(permission) for permission in permissions) if need]
    return f"Needs {' with '.join(needs)}." if needs else "Needs no credential."


def _need(permission: object) -> str:
    match permission:
        case AllowAny():
            return ""
        case ScopePermission():
            return f"the scope `{permission.scope}`"
    own_words = getattr(permission, "needs", "")
    if own_words:
        return str(own_words)
    match permission:
        case IsServiceClient():
            return "a service client's credential"
        case IsUser():
            return "a person's token"
    return "any credential"
