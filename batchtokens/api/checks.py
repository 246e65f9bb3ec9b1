"""`/api/v1/operations/{id}/check`: would a redemption be accepted now?"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.fields import ClosedInput
from batchtokens.api.fields import AmountField, ObjectField
from batchtokens.api.paths import OPERATION_ID
from batchtokens.api.permissions import ReadsOperations
from batchtokens.api.principals import principal_of
from batchtokens.api.serializers import RemainingOutput
from batchtokens.services.redemption.check_redemption import Check, check_redemption
from batchtokens_verifier.constraints import Amount
from batchtokens_verifier.errors import ProblemError


class CheckFilter(ClosedInput):
    """An amount to try, of a mandate that leaves it open."""

    amount = serializers.CharField(max_length=20, required=False)
    currency = serializers.CharField(max_length=3, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Read both as one amount."""
        if not attrs:
            return {"amount": None}
        try:
            return {"amount": Amount.parse(attrs, "")}
        except ProblemError as error:
            name = error.pointer.removeprefix("/") or "amount"
            raise serializers.ValidationError({name: [error.detail]}) from error


class SlotOutput(serializers.Serializer[Any]):
    name = serializers.CharField()
    opens_at = serializers.DateTimeField()
    closes_at = serializers.DateTimeField()


class CheckOutput(serializers.Serializer[Check]):
    """What a redemption would meet; only a redemption itself is an answer to act on."""

    accepted = serializers.SerializerMethodField()
    code = serializers.SerializerMethodField(help_text="Why not; empty where it is accepted.")
    at = serializers.DateTimeField()
    amount = AmountField(allow_null=True)
    slot = SlotOutput(allow_null=True)
    remaining = RemainingOutput(source="remaining.as_json")
    limits = serializers.SerializerMethodField()

    def get_accepted(self, check: Check) -> bool:
        return check.refusal is None

    def get_code(self, check: Check) -> str:
        return check.refusal.code if check.refusal else ""

    @extend_schema_field(ObjectField)
    def get_limits(self, check: Check) -> dict[str, Any]:
        return check.limits.as_json()


class CheckView(APIView):
    """Whether an operation could run now: nothing is taken, nothing is promised."""

    permission_classes = [ReadsOperations]

    @extend_schema(responses=CheckOutput, parameters=[OPERATION_ID, CheckFilter])
    def get(self, request: Request, public_id: str) -> Response:
        """Say what a redemption would be answered now, and what is left."""
        wanted = CheckFilter(data=request.query_params.dict())
        wanted.is_valid(raise_exception=True)
        amount = wanted.validated_data["amount"]
        check = check_redemption(by=principal_of(request), public_id=public_id, amount=amount)
        return Response(CheckOutput(check).data)
