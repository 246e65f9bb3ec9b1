"""`/api/v1/me/api-keys`: a person's own API keys, which only read.

A key itself is in one answer, that to its creation or rotation, and never again.
"""

from datetime import timedelta
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.authentication import PERSONAL, context_of, grant_of
from accounts.api.fields import TextField
from accounts.api.permissions import FreshAuthentication, FreshToChange, HasScope, IsUser
from accounts.api.requests import validated
from accounts.api.throttles import BeginThrottle
from accounts.api.views import signed_in_user
from accounts.models import ApiKey
from accounts.models.api_key import ApiKeyQuerySet
from accounts.scopes import ACCOUNT
from accounts.services.create_api_key import MOST_NETWORKS, NAME_MAX_LENGTH, create_api_key
from accounts.services.find_api_key import find_api_key
from accounts.services.list_api_keys import list_api_keys
from accounts.services.revoke_api_key import revoke_api_key
from accounts.services.rotate_api_key import LONGEST_OVERLAP, rotate_api_key

KEY_ID = OpenApiParameter("public_id", str, OpenApiParameter.PATH, pattern="^key_[0-9a-f]{32}$")
MOST_SCOPES = 20
NETWORK_MAX_LENGTH = 43  # of IPv6, with its prefix length


class ApiKeyInput(serializers.Serializer[Any]):
    name = TextField(max_length=NAME_MAX_LENGTH)
    scopes = serializers.ListField(child=TextField(), allow_empty=False, max_length=MOST_SCOPES)
    expires_at = serializers.DateTimeField()
    allowed_networks = serializers.ListField(
        child=TextField(max_length=NETWORK_MAX_LENGTH),
        default=list,
        max_length=MOST_NETWORKS,
        help_text="CIDR notation; none: it may be used from anywhere.",
    )


class RotationInput(serializers.Serializer[Any]):
    overlap = serializers.IntegerField(
        min_value=0,
        max_value=int(LONGEST_OVERLAP.total_seconds()),
        default=86_400,
        help_text="Seconds for which the old key still opens.",
    )


class ApiKeyOutput(serializers.Serializer[ApiKey]):
    id = serializers.CharField(source="public_id")
    name = serializers.CharField()
    prefix = serializers.CharField(help_text="What the key begins with; no secret.")
    last_four = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    allowed_networks = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(
        allow_null=True, help_text="Noted at most once a minute."
    )
    replaced_by = serializers.CharField(source="successor.public_id", allow_null=True, default=None)


class NewApiKeyOutput(ApiKeyOutput):
    key = serializers.CharField(help_text="The key itself: shown this once.")


class ApiKeysView(FreshToChange, generics.ListAPIView[ApiKey]):
    """One's API keys: looking needs the scope; making one a recent sign-in, too."""

    authentication_classes = PERSONAL
    permission_classes = (IsUser, HasScope(ACCOUNT))
    throttle_classes = (BeginThrottle,)  # an e-mail tells of each new key
    serializer_class = ApiKeyOutput
    queryset = ApiKey.objects.none()

    def get_queryset(self) -> ApiKeyQuerySet:
        return list_api_keys(of=signed_in_user(self.request))

    @extend_schema(tags=["me"])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List your keys, newest first, without the keys themselves."""
        return super().get(request, *args, **kwargs)

    @extend_schema(request=ApiKeyInput, responses={201: NewApiKeyOutput}, tags=["me"])
    def post(self, request: Request) -> Response:
        """Make a key for some of the scopes that your token holds."""
        body = validated(ApiKeyInput, request)
        grant = grant_of(request)
        new = create_api_key(
            owner=signed_in_user(request),
            name=body["name"],
            scopes=body["scopes"],
            at_most=grant.scope if grant else (),
            expires_at=body["expires_at"],
            networks=body["allowed_networks"],
            by=signed_in_user(request),
            context=context_of(request),
        )
        return Response({**ApiKeyOutput(new.api_key).data, "key": new.text}, status=201)


class _ChangeView(APIView):
    authentication_classes = PERSONAL
    permission_classes = (IsUser, HasScope(ACCOUNT), FreshAuthentication)


class ApiKeyView(_ChangeView):
    @extend_schema(responses={204: None}, parameters=[KEY_ID], tags=["me"])
    def delete(self, request: Request, public_id: str) -> Response:
        """Revoke a key; once more changes nothing."""
        user = signed_in_user(request)
        api_key = find_api_key(by=user, public_id=public_id)
        revoke_api_key(api_key=api_key, by=user, context=context_of(request))
        return Response(status=204)


class ApiKeyRotationView(_ChangeView):
    throttle_classes = (BeginThrottle,)

    @extend_schema(
        request=RotationInput, responses={201: NewApiKeyOutput}, parameters=[KEY_ID], tags=["me"]
    )
    def post(self, request: Request, public_id: str) -> Response:
        """Make the key's successor: the same, with a new life; the key itself ends soon."""
        overlap = timedelta(seconds=validated(RotationInput, request)["overlap"])
        user, grant = signed_in_user(request), grant_of(request)
        new = rotate_api_key(
            api_key=find_api_key(by=user, public_id=public_id),
            overlap=overlap,
            at_most=grant.scope if grant else (),
            by=user,
            context=context_of(request),
        )
        return Response({**ApiKeyOutput(new.api_key).data, "key": new.text}, status=201)
