"""What requests for previews and consents carry, and what is shown of them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.fields import ClosedInput, TextField
from batchtokens.api.fields import ObjectField
from batchtokens.models import Consent, ConsentMode, ConsentStatus
from batchtokens.services.consent.preview_operation import Preview

OTP_LENGTH = 32  # a recovery code, however it is spaced


class MandateInput(ClosedInput):
    type = TextField(max_length=80)
    operation = ObjectField()
    constraints = ObjectField()
    client = TextField(
        max_length=100,
        required=False,
        default="",
        help_text="The trigger's client_id; absent: this service's own.",
    )


class ConfirmConsentInput(ClosedInput):
    otp = TextField(max_length=OTP_LENGTH)
    mandate_digest = TextField(max_length=60, help_text="Of the consent that was shown.")


class PreviewOutput(serializers.Serializer[Preview]):
    type = serializers.CharField(source="operation_type.name")
    consent = serializers.ChoiceField(choices=ConsentMode.choices, source="operation_type.consent")
    client_id = serializers.CharField()
    summary = serializers.CharField(help_text="All that a person is to be shown, word by word.")
    language = serializers.CharField()
    template_version = serializers.IntegerField(source="operation_type.version")
    canonical_operation = serializers.CharField(help_text="What parameter_digest covers (UTF-8).")
    parameter_digest = serializers.CharField()
    mandate = ObjectField()
    mandate_digest = serializers.CharField()


class ConsentOutput(serializers.Serializer[Consent]):
    """One consent; the row carries `clock`."""

    id = serializers.CharField(source="public_id")
    type = serializers.CharField(source="operation_type.name")
    status = serializers.SerializerMethodField()
    client_id = serializers.CharField(source="client_name")
    summary = serializers.CharField()
    language = serializers.CharField()
    template_version = serializers.IntegerField()
    parameter_digest = serializers.CharField()
    mandate = ObjectField(source="details")
    mandate_digest = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    confirmed_at = serializers.DateTimeField(allow_null=True)

    @extend_schema_field(serializers.ChoiceField(choices=ConsentStatus.choices))
    def get_status(self, row: Any) -> str:
        return str(row.status_at(row.clock))
