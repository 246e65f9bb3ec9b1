"""Serializer fields that every app's requests share: JSON's types as they are, tokens as sent."""

from typing import Any

from rest_framework import serializers

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
