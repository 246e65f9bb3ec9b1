"""Sign-in and refresh as the forms that tutorials use: /token, /token/refresh."""

from drf_spectacular.utils import extend_schema
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import bearer_token, context_of
from accounts.api.headers import idempotency_key
from accounts.api.requests import only_one, validated
from accounts.api.serializers import FormPairOutput, RefreshForm, SignInForm
from accounts.api.throttles import AnonymousThrottle, RefreshThrottle, SignInThrottle
from accounts.api.views import PublicView
from accounts.services.refresh_session import refresh_session
from accounts.services.sign_in import sign_in


class TokenFormView(PublicView):
    throttle_classes = (SignInThrottle, AnonymousThrottle)
    parser_classes = (FormParser,)

    @extend_schema(request=SignInForm, responses=FormPairOutput, tags=["forms"])
    def post(self, request: Request) -> Response:
        """Sign in with username and password."""
        pair = sign_in(**validated(SignInForm, request), context=context_of(request))
        return Response(FormPairOutput(pair).data)


class RefreshFormView(PublicView):
    throttle_classes = (RefreshThrottle,)
    parser_classes = (FormParser,)

    @extend_schema(request=RefreshForm, responses=FormPairOutput, tags=["forms"])
    def post(self, request: Request) -> Response:
        """Exchange a refresh token, from the form or as the bearer token, for a new pair."""
        form = validated(RefreshForm, request)
        pair = refresh_session(
            token=only_one(form["refresh_token"], bearer_token(request)),
            scope=form["scope"],
            idempotency_key=idempotency_key(request),
            context=context_of(request),
        )
        return Response(FormPairOutput(pair).data)
