"""`/api/v1/redemptions`: an executor reserves a slot, acts, settles or releases (I1, I5)."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.headers import IDEMPOTENCY_KEY_REQUIRED, idempotency_key
from accounts.api.permissions import HasScope, IsServiceClient
from accounts.scopes import REDEEM
from batchtokens.api.paths import REDEMPTION_ID
from batchtokens.api.principals import client_of
from batchtokens.api.serializers import (
    RedeemedOutput,
    RedemptionInput,
    RedemptionOutput,
    ReleaseInput,
    SettleInput,
)
from batchtokens.services.mandates.find_operation import find_redemption
from batchtokens.services.redemption.redeem import RedemptionRequest, redeem_operation_token
from batchtokens.services.redemption.settle import Closing, release_redemption, settle_redemption
from batchtokens.signals import redemption_accepted


class _ExecutorView(APIView):
    permission_classes = [IsServiceClient, HasScope(REDEEM)]


class RedemptionsView(_ExecutorView):
    """Redeem an operation token for one slot."""

    @extend_schema(
        request=RedemptionInput,
        responses={201: RedeemedOutput, 200: RedeemedOutput},
        parameters=[IDEMPOTENCY_KEY_REQUIRED],
    )
    def post(self, request: Request) -> Response:
        """Reserve the named or earliest open slot; 200 for a retry or a further attempt."""
        body = RedemptionInput(data=request.data)
        body.is_valid(raise_exception=True)
        answer = redeem_operation_token(
            by=client_of(request),
            request=RedemptionRequest(**body.validated_data),
            idempotency_key=idempotency_key(request, required=True),
        )
        redemption_accepted.send_robust(RedemptionsView, created=answer.created)
        code = status.HTTP_201_CREATED if answer.created else status.HTTP_200_OK
        return Response(RedeemedOutput(answer).data, status=code)


class RedemptionView(_ExecutorView):
    """One redemption, for the executor whose it is."""

    @extend_schema(responses=RedemptionOutput, parameters=[REDEMPTION_ID])
    def get(self, request: Request, redemption_id: str) -> Response:
        redemption = find_redemption(by=client_of(request), redemption_id=redemption_id)
        return Response(RedemptionOutput(redemption).data)


class SettleView(_ExecutorView):
    """Say that it was done."""

    @extend_schema(request=SettleInput, responses=RedemptionOutput, parameters=[REDEMPTION_ID])
    def post(self, request: Request, redemption_id: str) -> Response:
        body = SettleInput(data=request.data)
        body.is_valid(raise_exception=True)
        closing = Closing(redemption_id=redemption_id, **body.validated_data)
        return Response(
            RedemptionOutput(settle_redemption(by=client_of(request), closing=closing)).data
        )


class ReleaseView(_ExecutorView):
    """Give the slot back: nothing was done."""

    @extend_schema(request=ReleaseInput, responses=RedemptionOutput, parameters=[REDEMPTION_ID])
    def post(self, request: Request, redemption_id: str) -> Response:
        body = ReleaseInput(data=request.data)
        body.is_valid(raise_exception=True)
        closing = Closing(redemption_id=redemption_id, **body.validated_data)
        return Response(
            RedemptionOutput(release_redemption(by=client_of(request), closing=closing)).data
        )
