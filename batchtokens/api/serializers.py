"""What requests carry and answers show. No logic: services decide, rows know their status."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

from django.core.validators import RegexValidator
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.settings import api_settings

from accounts.api.fields import ClosedInput, TextField, TokenField
from batchtokens.api.fields import AmountField, NumberField, ObjectField
from batchtokens.models import (
    LedgerEntry,
    OperationToken,
    OperationType,
    Redemption,
    RedemptionStatus,
    Status,
)
from batchtokens.services.mandates.introspect import consumption
from batchtokens.services.mandates.words import LONGEST_REASON
from batchtokens.services.redemption.redeem import RedemptionAnswer

_SIGNED_ELSEWHERE = frozenset(
    {"type", "actions", "locations", "identifier", "operation", "redemption"}
)


class OperationInput(ClosedInput):
    type = TextField(max_length=80)
    operation = ObjectField()
    constraints = ObjectField()
    consent_id = TextField(
        max_length=40, required=False, default=None, help_text="Where the type's mode is exact."
    )


class LimitsInput(ClosedInput):
    """Limits to lower; at least one."""

    max_individual_amount = AmountField(required=False)
    max_total = AmountField(required=False)
    max_occurrences = NumberField(required=False, min_value=1)
    reason = TextField(max_length=LONGEST_REASON, required=False, default="", allow_blank=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a body that lowers nothing."""
        if attrs.keys() <= {"reason"}:
            raise serializers.ValidationError("Name a limit.")
        return attrs


class ReasonInput(ClosedInput):
    reason = TextField(max_length=LONGEST_REASON, required=False, default="", allow_blank=True)


class OperationFilter(ClosedInput):
    status = serializers.ChoiceField(choices=Status.choices, required=False)
    type = serializers.CharField(max_length=80, required=False)


class ConsumptionOutput(serializers.Serializer[Any]):
    redeemed = serializers.IntegerField()
    settled = serializers.IntegerField()
    occurrences = serializers.IntegerField()
    amount_minor = serializers.CharField()
    currency = serializers.CharField()


class OperationOutput(serializers.Serializer[OperationToken]):
    """One mandate; the row carries `clock` and `next_run_at`."""

    id = serializers.CharField(source="public_id")
    type = serializers.CharField(source="type_name")
    status = serializers.SerializerMethodField()
    summary = serializers.CharField()
    operation = serializers.SerializerMethodField()
    constraints = serializers.SerializerMethodField()
    lowered = ObjectField(help_text="Limits that the person has lowered below the signed ones.")
    parameter_digest = serializers.CharField()
    consent_id = serializers.CharField(source="consent.public_id", allow_null=True, default=None)
    client_id = serializers.CharField(source="client_name")
    holds = serializers.ListField(child=serializers.CharField())
    consumption = serializers.SerializerMethodField()
    issued_at = serializers.DateTimeField()
    valid_from = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(source="valid_to")
    next_run_at = serializers.DateTimeField(allow_null=True)
    cancellation = serializers.CharField(allow_null=True)

    @extend_schema_field(serializers.ChoiceField(choices=Status.choices))
    def get_status(self, row: Any) -> str:
        return str(row.status_at(row.clock))

    @extend_schema_field(ObjectField)
    def get_operation(self, row: OperationToken) -> Any:
        return json.loads(row.operation)

    @extend_schema_field(ObjectField)
    def get_constraints(self, row: OperationToken) -> dict[str, Any]:
        return {name: v for name, v in row.details.items() if name not in _SIGNED_ELSEWHERE}

    @extend_schema_field(ConsumptionOutput)
    def get_consumption(self, row: OperationToken) -> dict[str, Any]:
        return consumption(row)


class OperationTypeOutput(serializers.ModelSerializer[OperationType]):
    class Meta:
        model = OperationType
        fields = (
            "name",
            "version",
            "meta_scope",
            "scope",
            "consent",
            "schema",
            "max_lifetime_days",
        )
        read_only_fields = fields


class EntryOutput(serializers.Serializer[LedgerEntry]):
    seq = serializers.IntegerField()
    kind = serializers.CharField()
    at = serializers.DateTimeField()
    details = serializers.SerializerMethodField()
    note = serializers.CharField()
    hash = serializers.CharField()

    @extend_schema_field(ObjectField)
    def get_details(self, entry: LedgerEntry) -> Any:
        return json.loads(entry.entry)["data"]


class QueueInput(ClosedInput):
    operation_token = TokenField()
    operation = ObjectField()


class QueueOutput(serializers.Serializer[Any]):
    operation_id = serializers.CharField()
    queued = serializers.IntegerField()
    next_run_at = serializers.DateTimeField(allow_null=True)


class RedemptionInput(ClosedInput):
    operation_token = TokenField()
    operation = ObjectField()
    amount = AmountField(required=False, default=None)
    occurrence = TextField(max_length=20, required=False, default=None)


class BatchLineInput(RedemptionInput):
    """One line of a batch: a redemption's body, with the key that is a header there."""

    idempotency_key = TextField(
        max_length=255, trim_whitespace=False, validators=[RegexValidator(r"\A[!-~]+\Z")]
    )


class SettleInput(ClosedInput):
    attempt = NumberField(min_value=1)
    reference = TextField(
        max_length=200, required=False, default="", allow_blank=True, source="note"
    )


class ReleaseInput(ClosedInput):
    attempt = NumberField(min_value=1)
    reason = TextField(max_length=200, source="note")


class RemainingOutput(serializers.Serializer[Any]):
    """What is left after this redemption; stored as JSON with its attempt."""

    period = ObjectField(allow_null=True)
    total = ObjectField(allow_null=True)
    occurrences = serializers.IntegerField(allow_null=True)


class RedemptionOutput(serializers.Serializer[Redemption]):
    """One used slot; a reserved row carries `clock`, the instant of the answer."""

    redemption_id = serializers.CharField(source="pk")
    slot = serializers.CharField()
    status = serializers.SerializerMethodField()
    attempt = serializers.IntegerField()
    amount = serializers.SerializerMethodField()
    receipt = serializers.CharField(source="closing_receipt")
    lease_expires_at = serializers.DateTimeField()
    settled_at = serializers.DateTimeField(allow_null=True)

    @extend_schema_field(serializers.ChoiceField(choices=RedemptionStatus.choices))
    def get_status(self, row: Any) -> str:
        closed = row.status != RedemptionStatus.RESERVED
        return str(row.status if closed else row.status_at(row.clock))

    @extend_schema_field(AmountField)
    def get_amount(self, row: Redemption) -> dict[str, str]:
        return row.amount.as_json()


class RedeemedOutput(serializers.Serializer[RedemptionAnswer]):
    """The answer to a redemption request: act only on `proceed`, before the lease ends."""

    redemption_id = serializers.CharField(source="redemption.pk")
    slot = serializers.CharField(source="redemption.slot")
    status = serializers.SerializerMethodField()
    attempt = serializers.IntegerField(source="attempt.attempt")
    amount = AmountField(source="redemption.amount")
    remaining = RemainingOutput(source="attempt.remaining")
    proceed = serializers.BooleanField()
    receipt = serializers.CharField(source="attempt.receipt")
    lease_expires_at = serializers.DateTimeField(source="attempt.lease_expires_at")

    @extend_schema_field(serializers.ChoiceField(choices=RedemptionStatus.choices))
    def get_status(self, answer: RedemptionAnswer) -> str:
        return str(answer.redemption.status_at(answer.at))

    def to_representation(self, answer: RedemptionAnswer) -> dict[str, Any]:
        """Return the members at once: a batch has thousands, and a field costs as a signature."""
        redemption, attempt = answer.redemption, answer.attempt
        lease = attempt.lease_expires_at.astimezone(UTC)
        return {
            "redemption_id": redemption.pk,
            "slot": redemption.slot,
            "status": self.get_status(answer),
            "attempt": attempt.attempt,
            "amount": redemption.amount.as_json(),
            "remaining": attempt.remaining,
            "proceed": answer.proceed,
            "receipt": attempt.receipt,
            "lease_expires_at": lease.strftime(str(api_settings.DATETIME_FORMAT)),
        }
