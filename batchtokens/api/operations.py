"""`/api/v1/operations`: ask for a mandate, watch it, hold, resume and cancel it."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.headers import IDEMPOTENCY_KEY, idempotency_key
from batchtokens.api.paths import OPERATION_ID
from batchtokens.api.permissions import (
    AsksForOperations,
    ChangesOperations,
    GivesConsent,
    ReadsOperations,
)
from batchtokens.api.principals import grant_of, principal_of
from batchtokens.api.serializers import (
    EntryOutput,
    LimitsInput,
    OperationFilter,
    OperationInput,
    OperationOutput,
    OperationTypeOutput,
    ReasonInput,
)
from batchtokens.models import LedgerEntry, OperationToken, OperationType
from batchtokens.models.clock import database_now
from batchtokens.services.issuing.create_operation import OperationRequest, create_operation
from batchtokens.services.mandates.find_operation import (
    find_for_change,
    find_operation,
    visible_operations,
)
from batchtokens.services.mandates.hold import hold_operation, resume_operation
from batchtokens.services.mandates.lower_limits import Limits, lower_limits
from batchtokens.services.mandates.revoke import cancel_operation
from batchtokens.services.mandates.words import Words

# What a list's address may also carry: its page, and the browsable pages' choice of form.
NOT_FILTERS = frozenset({"cursor", "page_size", "format"})


class OperationTypesView(generics.ListAPIView[OperationType]):
    """The operation types that can be asked for."""

    serializer_class = OperationTypeOutput
    permission_classes = [IsAuthenticated]
    queryset = OperationType.objects.active()


class OperationsView(generics.ListAPIView[OperationToken]):
    """One's own operations, newest first."""

    serializer_class = OperationOutput

    def get_permissions(self) -> list[Any]:
        return [AsksForOperations() if self.request.method == "POST" else ReadsOperations()]

    def get_queryset(self) -> QuerySet[OperationToken]:
        parameters = self.request.query_params.items()
        wanted = OperationFilter(data={k: v for k, v in parameters if k not in NOT_FILTERS})
        wanted.is_valid(raise_exception=True)
        operations = visible_operations(by=principal_of(self.request))
        if "type" in wanted.validated_data:
            operations = operations.filter(type_name=wanted.validated_data["type"])
        if "status" in wanted.validated_data:
            operations = operations.with_status(wanted.validated_data["status"], database_now())
        return operations

    @extend_schema(parameters=[OperationFilter])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(
        request=OperationInput, responses={201: OperationOutput}, parameters=[IDEMPOTENCY_KEY]
    )
    def post(self, request: Request) -> Response:
        """Ask for a mandate, with the type's meta-scope; it is issued and queued at once."""
        body = OperationInput(data=request.data)
        body.is_valid(raise_exception=True)
        asked = OperationRequest(**body.validated_data, idempotency_key=idempotency_key(request))
        operation = create_operation(by=grant_of(request), request=asked)
        shown = find_operation(by=principal_of(request), public_id=operation.public_id)
        return Response(OperationOutput(shown).data, status=status.HTTP_201_CREATED)


class OperationView(APIView):
    """One operation."""

    permission_classes = [ReadsOperations]

    @extend_schema(responses=OperationOutput, parameters=[OPERATION_ID])
    def get(self, request: Request, public_id: str) -> Response:
        operation = find_operation(by=principal_of(request), public_id=public_id)
        return Response(OperationOutput(operation).data)


class TimelineView(generics.ListAPIView[LedgerEntry]):
    """What happened to one operation, newest first: its ledger entries."""

    serializer_class = EntryOutput
    permission_classes = [ReadsOperations]
    queryset = LedgerEntry.objects.none()

    @extend_schema(parameters=[OPERATION_ID])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[LedgerEntry]:
        operation = find_operation(
            by=principal_of(self.request), public_id=self.kwargs["public_id"]
        )
        return LedgerEntry.objects.filter(operation_token=operation)


class _ChangeView(APIView):
    """Base of hold, resume and cancel: the same form, another verb."""

    permission_classes = [ChangesOperations]
    verb: Any

    @extend_schema(request=ReasonInput, responses=OperationOutput, parameters=[OPERATION_ID])
    def post(self, request: Request, public_id: str) -> Response:
        body = ReasonInput(data=request.data)
        body.is_valid(raise_exception=True)
        operation_id, kind = find_for_change(by=grant_of(request), public_id=public_id)
        words = Words(principal_of(request).public_id, body.validated_data["reason"])
        self.verb(operation_id=operation_id, by=kind, words=words)
        operation = find_operation(by=principal_of(request), public_id=public_id)
        return Response(OperationOutput(operation).data)


class HoldView(_ChangeView):
    """Stop new runs until the hold is lifted."""

    verb = staticmethod(hold_operation)


class ResumeView(_ChangeView):
    """Lift one's own hold."""

    verb = staticmethod(resume_operation)


class CancelView(_ChangeView):
    """End it for ever."""

    verb = staticmethod(cancel_operation)


class LimitsView(APIView):
    """One's own limits, which go down only: a raise takes a new consent."""

    permission_classes = [GivesConsent]

    @extend_schema(request=LimitsInput, responses=OperationOutput, parameters=[OPERATION_ID])
    def post(self, request: Request, public_id: str) -> Response:
        """Lower limits below the signed ones, at once and for good."""
        body = LimitsInput(data=request.data)
        body.is_valid(raise_exception=True)
        limits = dict(body.validated_data)
        words = Words(principal_of(request).public_id, limits.pop("reason"))
        operation_id, _ = find_for_change(by=grant_of(request), public_id=public_id)
        lower_limits(operation_id=operation_id, limits=Limits(**limits), words=words)
        operation = find_operation(by=principal_of(request), public_id=public_id)
        return Response(OperationOutput(operation).data)
