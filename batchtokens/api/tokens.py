"""`/api/v1/operations/{id}/token`: a trigger fetches a token that was signed anew."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.permissions import HasScope, IsServiceClient
from accounts.scopes import TOKEN_EXCHANGE
from batchtokens.api.paths import OPERATION_ID
from batchtokens.api.principals import client_of
from batchtokens.services.keys.fetch_token import Fetched, fetch_reissued_token


class FetchedOutput(serializers.Serializer[Fetched]):
    operation_id = serializers.CharField()
    operation_token = serializers.CharField()
    available_until = serializers.DateTimeField()


class ReissuedTokenView(APIView):
    """The newest token of one's own operation, after its signing key was compromised."""

    permission_classes = [IsServiceClient, HasScope(TOKEN_EXCHANGE)]

    @extend_schema(request=None, responses=FetchedOutput, parameters=[OPERATION_ID])
    def post(self, request: Request, public_id: str, **kwargs: Any) -> Response:
        """Fetch it; again within a day, where the answer was lost."""
        fetched = fetch_reissued_token(by=client_of(request), public_id=public_id)
        return Response(FetchedOutput(fetched).data, headers={"Cache-Control": "no-store"})
