"""`/api/v1/queue`: a trigger leaves its operation token here until it is due."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.permissions import HasScope, IsServiceClient
from accounts.scopes import TOKEN_EXCHANGE
from batchtokens.api.principals import client_of
from batchtokens.api.serializers import QueueInput, QueueOutput
from batchtokens.services.mandates.find_operation import find_operation
from batchtokens.services.queue.enqueue import enqueue_operation_token


class QueueView(APIView):
    """The built-in queue."""

    permission_classes = [IsServiceClient, HasScope(TOKEN_EXCHANGE)]

    @extend_schema(request=QueueInput, responses={201: QueueOutput, 200: QueueOutput})
    def post(self, request: Request) -> Response:
        """Queue every run that is still ahead; 200 where all were queued before."""
        body = QueueInput(data=request.data)
        body.is_valid(raise_exception=True)
        row, queued = enqueue_operation_token(
            by=client_of(request),
            token=body.validated_data["operation_token"],
            operation=body.validated_data["operation"],
        )
        shown = find_operation(by=client_of(request), public_id=row.public_id)
        answer = {"operation_id": row.public_id, "queued": queued, "next_run_at": shown.next_run_at}
        code = status.HTTP_201_CREATED if queued else status.HTTP_200_OK
        return Response(QueueOutput(answer).data, status=code)
