"""`me/sessions`: where a person is signed in, in browsers and apps, and the ends of it.

A place that is ended opens nothing here from that moment on.
"""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.authentication import PERSONAL, BearerAuthentication, context_of, grant_of
from accounts.api.permissions import HasScope, IsUser
from accounts.api.views import family_of, signed_in_user
from accounts.errors import UnknownId
from accounts.ids import parse_public_id
from accounts.models import Acr, SessionFamily, SessionKind, User
from accounts.models.session_family import SessionFamilyQuerySet
from accounts.scopes import ACCOUNT
from accounts.services.end_session import end_other_sessions, end_session, sign_out_everywhere
from accounts.services.list_sessions import list_sessions
from accounts.services.name_device import name_device

SESSION_ID = OpenApiParameter("public_id", str, OpenApiParameter.PATH, pattern="^ses_[0-9a-f]{32}$")


class SessionOutput(serializers.Serializer[SessionFamily]):
    id = serializers.CharField(source="public_id")
    kind = serializers.ChoiceField(choices=SessionKind.choices)
    device = serializers.SerializerMethodField(help_text="As far as its User-Agent header tells.")
    address = serializers.IPAddressField(allow_null=True, help_text="Where it was last seen.")
    created_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField(
        source="last_used_at",
        help_text="Of a browser, to the minute; of an app, its last sign-in or refresh.",
    )
    expires_at = serializers.DateTimeField()
    acr = serializers.ChoiceField(choices=[(acr.value, acr.value) for acr in Acr])
    amr = serializers.ListField(
        child=serializers.CharField(), help_text="How it was signed in (RFC 8176)."
    )
    current = serializers.SerializerMethodField(help_text="Whether this request comes from it.")

    def get_device(self, place: SessionFamily) -> str:
        return name_device(place.user_agent)

    def get_current(self, place: SessionFamily) -> bool:
        grant = grant_of(self.context["request"])
        return grant is not None and place.pk == grant.family_id


class EndedOutput(serializers.Serializer[Any]):
    ended = serializers.IntegerField(help_text="How many sessions were ended.")


class SessionsView(generics.ListAPIView[SessionFamily]):
    serializer_class = SessionOutput
    authentication_classes = PERSONAL
    permission_classes = (IsUser, HasScope(ACCOUNT))
    queryset = SessionFamily.objects.none()

    def get_queryset(self) -> SessionFamilyQuerySet:
        return list_sessions(of=signed_in_user(self.request))

    @extend_schema(tags=["me"])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List where you are signed in, newest first."""
        return super().get(request, *args, **kwargs)


class _EndView(APIView):
    authentication_classes = (BearerAuthentication,)
    permission_classes = (IsUser, HasScope(ACCOUNT))


class SessionView(_EndView):
    @extend_schema(responses={204: None}, parameters=[SESSION_ID], tags=["me"])
    def delete(self, request: Request, public_id: str) -> Response:
        """End one of your sessions.

        Its tokens are refused here at once. Services that check access tokens offline take one
        that is out already until it expires, within 15 minutes.
        """
        ended = end_session(
            family_id=parse_public_id(public_id, SessionFamily.public_prefix),
            by=signed_in_user(request),
            context=context_of(request),
        )
        if not ended:
            raise UnknownId
        return Response(status=204)


class EndOthersView(_EndView):
    @extend_schema(request=None, responses=EndedOutput, tags=["me"])
    def post(self, request: Request) -> Response:
        """End all your sessions but this one.

        Their tokens are refused here at once. Services that check access tokens offline take those
        that are out already until they expire, within 15 minutes.
        """
        ended = end_other_sessions(
            user=signed_in_user(request),
            keep=family_of(request),
            why="end_others",
            context=context_of(request),
        )
        return Response(EndedOutput({"ended": ended}).data)


class EndAllView(_EndView):
    @extend_schema(request=None, responses=EndedOutput, tags=["me"])
    def post(self, request: Request) -> Response:
        """End all your sessions, this one among them.

        Their tokens are refused here at once. Services that check access tokens offline take those
        that are out already until they expire, within 15 minutes.
        """
        user = signed_in_user(request)
        ended = sign_out_everywhere(
            users=User.objects.filter(pk=user.pk),
            why="end_all",
            by=user,
            context=context_of(request),
        )
        return Response(EndedOutput({"ended": ended}).data)
