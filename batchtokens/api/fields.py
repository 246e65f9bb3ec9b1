"""Serializer fields that batchtokens' requests share. They check form alone; services decide."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from batchtokens_verifier.constraints import Amount
from batchtokens_verifier.errors import ProblemError

LONGEST_TOKEN = 16 * 1024


@extend_schema_field(
    {
        "type": "object",
        "properties": {"amount": {"type": "string"}, "currency": {"type": "string"}},
        "required": ["amount", "currency"],
        "additionalProperties": False,
    }
)
class AmountField(serializers.Field[Amount, Any, dict[str, str], Any]):
    """`{"amount": "50.00", "currency": "USD"}` and Amount."""

    def to_internal_value(self, data: Any) -> Amount:
        try:
            return Amount.parse(data, "")
        except ProblemError as error:
            raise serializers.ValidationError(error.detail) from error

    def to_representation(self, value: Amount) -> dict[str, str]:
        return value.as_json()


@extend_schema_field({"type": "object", "additionalProperties": True})
class ObjectField(serializers.Field[dict[str, Any], Any, dict[str, Any], Any]):
    """A JSON object whose members the service checks."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("An object is needed.")
        return data

    def to_representation(self, value: dict[str, Any]) -> dict[str, Any]:
        return value


class TokenField(serializers.CharField):
    """A compact JWS, taken exactly as sent: DRF would trim it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, max_length=LONGEST_TOKEN, **options)
