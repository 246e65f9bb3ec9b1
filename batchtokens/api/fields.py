"""Serializer fields that batchtokens' requests share. They check form alone; services decide.

JSON's types are taken as they are: DRF would read 7 as "7", and "7" or 7.0 as 7.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from batchtokens_verifier.constraints import Amount
from batchtokens_verifier.errors import ProblemError


class NumberField(serializers.IntegerField):
    """A JSON number without a fraction."""

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return super().to_internal_value(data)


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
            member = error.pointer.removeprefix("/")
            raise serializers.ValidationError(
                {member: [error.detail]} if member else error.detail
            ) from error

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
