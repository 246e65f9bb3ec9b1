"""Serializers' parts that every app's requests share: JSON's types as they are, tokens as sent."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension
from rest_framework import serializers
from rest_framework.settings import api_settings

from batchtokens_verifier.errors import UNKNOWN_MEMBER
from batchtokens_verifier.jws import MAX_TOKEN_BYTES


class TextField(serializers.CharField):
    """A JSON string; DRF would read the number 7 as the name "7"."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class TokenField(TextField):
    """A token, exactly as sent: DRF would trim it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, max_length=MAX_TOKEN_BYTES, **options)


class ClosedInput(serializers.Serializer[Any]):
    """Refuses members that it does not know: a misspelt `occurrence` must not redeem another.

    It does not repeat their names: what was sent in a name's place may be a secret.
    """

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and not self.fields.keys() >= data.keys():
            refusal = serializers.ErrorDetail(UNKNOWN_MEMBER, code="unknown")
            raise serializers.ValidationError({api_settings.NON_FIELD_ERRORS_KEY: [refusal]})
        return super().to_internal_value(data)


class ClosedInputSchema(OpenApiSerializerExtension):  # type: ignore[no-untyped-call] # untyped there
    """Says so in the API's description, which finds this class by its registration."""

    target_class = ClosedInput
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        members = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)  # noqa: SLF001 - as its own documentation does
        return {**members, "additionalProperties": False}
