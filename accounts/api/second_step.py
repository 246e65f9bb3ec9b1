"""What follows the first factor: the code that a sign-in waits for, and proving oneself anew."""

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.authentication import BearerAuthentication, context_of, grant_of
from accounts.api.requests import validated
from accounts.api.serializers import (
    AccessTokenOutput,
    CompleteSignInInput,
    StepUpInput,
    TokenPairOutput,
)
from accounts.api.throttles import AnonymousThrottle, SignInThrottle
from accounts.api.views import PublicView
from accounts.services.complete_sign_in import complete_sign_in
from accounts.services.step_up import step_up


class CompleteSignInView(PublicView):
    throttle_classes = (SignInThrottle, AnonymousThrottle)

    @extend_schema(request=CompleteSignInInput, responses=TokenPairOutput, tags=["auth"])
    def post(self, request: Request) -> Response:
        """Finish a sign-in that `mfa_required` answered, with a code."""
        members = validated(CompleteSignInInput, request)
        pair = complete_sign_in(**members, context=context_of(request))
        return Response(TokenPairOutput(pair).data)


class StepUpView(APIView):
    authentication_classes = (BearerAuthentication,)
    permission_classes = (AllowAny,)
    throttle_classes = (SignInThrottle,)

    def perform_authentication(self, request: Request) -> None:
        """Leave it to `grant_of`: beside a refresh token, no bearer token is looked at."""

    @extend_schema(request=StepUpInput, responses=AccessTokenOutput, tags=["auth"])
    def post(self, request: Request) -> Response:
        """Prove anew who you are, in the session of the bearer token or of a refresh token.

        The answer is an access token that says when and how; refreshed ones do not.
        """
        members = validated(StepUpInput, request)
        grant = None if members["refresh"] else grant_of(request)
        stepped_up = step_up(grant=grant, **members, context=context_of(request))
        return Response(AccessTokenOutput(stepped_up).data)
