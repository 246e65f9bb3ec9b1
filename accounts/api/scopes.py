"""`scopes`: what a person's app may ask for when they sign in."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.authentication import BearerAuthentication
from accounts.api.permissions import HasScope, IsUser
from accounts.api.views import signed_in_user
from accounts.scopes import DEFAULT_SCOPE, PROFILE, parse_scope
from accounts.services.grant_scope import askable_scopes


class ScopeOutput(serializers.Serializer[Any]):
    name = serializers.CharField()
    description = serializers.CharField()
    in_default = serializers.BooleanField(
        help_text="Whether a sign-in that asks for no scope gets it."
    )


class ScopesView(APIView):
    authentication_classes = (BearerAuthentication,)
    permission_classes = (IsUser, HasScope(PROFILE))

    @extend_schema(responses=ScopeOutput(many=True), tags=["scopes"])
    def get(self, request: Request) -> Response:
        """List what you may ask for: the scopes of this service, and your own meta-scopes."""
        default = parse_scope(DEFAULT_SCOPE)
        scopes = [
            {"name": name, "description": description, "in_default": name in default}
            for name, description in askable_scopes(user=signed_in_user(request)).items()
        ]
        return Response(ScopeOutput(scopes, many=True).data)
