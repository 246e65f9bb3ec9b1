"""Accounts over JSON, under /api/v1/."""

import uuid

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.authentication import PERSONAL, BearerAuthentication, context_of, grant_of
from accounts.api.headers import IDEMPOTENCY_KEY, idempotency_key
from accounts.api.permissions import HasScope, IsUser
from accounts.api.requests import validated
from accounts.api.serializers import (
    GrantOutput,
    LogOutInput,
    RefreshInput,
    RegisterInput,
    SignInInput,
    TokenPairOutput,
    UserOutput,
    VerifyInput,
)
from accounts.api.throttles import (
    AnonymousThrottle,
    ExpensiveThrottle,
    RefreshThrottle,
    SignInThrottle,
)
from accounts.errors import UnknownId
from accounts.models import User
from accounts.scopes import PROFILE
from accounts.services.log_out import log_out
from accounts.services.refresh_session import refresh_session
from accounts.services.register_user import register_user
from accounts.services.sign_in import sign_in
from accounts.services.verify_access_token import verify_access_token


class PublicView(APIView):
    """An address that needs no credential: the body says who asks."""

    authentication_classes = ()
    permission_classes = (AllowAny,)


class RegisterView(PublicView):
    throttle_classes = (ExpensiveThrottle, AnonymousThrottle)

    @extend_schema(request=RegisterInput, responses={201: UserOutput}, tags=["auth"])
    def post(self, request: Request) -> Response:
        """Make an account; whether name and address were free is told to the mailbox alone."""
        user = register_user(**validated(RegisterInput, request), context=context_of(request))
        return Response(UserOutput(user).data, status=201)


class SignInView(PublicView):
    throttle_classes = (SignInThrottle, AnonymousThrottle)

    @extend_schema(request=SignInInput, responses=TokenPairOutput, tags=["auth"])
    def post(self, request: Request) -> Response:
        """Sign in with username and password."""
        pair = sign_in(**validated(SignInInput, request), context=context_of(request))
        return Response(TokenPairOutput(pair).data)


class RefreshView(PublicView):
    throttle_classes = (RefreshThrottle,)

    @extend_schema(
        request=RefreshInput,
        responses=TokenPairOutput,
        parameters=[IDEMPOTENCY_KEY],
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        """Exchange a refresh token for a new pair."""
        body = validated(RefreshInput, request)
        pair = refresh_session(
            token=body["refresh"],
            scope=body["scope"],
            idempotency_key=idempotency_key(request),
            context=context_of(request),
        )
        return Response(TokenPairOutput(pair).data)


class VerifyView(PublicView):
    @extend_schema(request=VerifyInput, responses=GrantOutput, tags=["auth"])
    def post(self, request: Request) -> Response:
        """Tell what an access token for this API grants."""
        grant = verify_access_token(validated(VerifyInput, request)["token"])
        return Response(GrantOutput(grant).data)


class LogOutView(APIView):
    authentication_classes = (BearerAuthentication,)
    permission_classes = (AllowAny,)

    def perform_authentication(self, request: Request) -> None:
        """Leave it to `grant_of`: beside a refresh token, no bearer token is looked at."""

    @extend_schema(request=LogOutInput, responses={204: None}, tags=["auth"])
    def post(self, request: Request) -> Response:
        """End the session of the refresh token in the body, or of the bearer token."""
        refresh = validated(LogOutInput, request)["refresh"]
        grant = None if refresh else grant_of(request)
        log_out(grant=grant, refresh=refresh, context=context_of(request))
        return Response(status=204)


class MeView(APIView):
    authentication_classes = PERSONAL
    permission_classes = (IsUser, HasScope(PROFILE))

    @extend_schema(responses=UserOutput, tags=["me"])
    def get(self, request: Request) -> Response:
        """Say who you are."""
        return Response(UserOutput(signed_in_user(request)).data)


def signed_in_user(request: Request) -> User:
    """Return the person whom IsUser has let pass."""
    user: object = request.user
    if not isinstance(user, User):
        raise NotAuthenticated
    return user


def family_of(request: Request) -> uuid.UUID:
    """Return the session family that the request's token belongs to.

    Raises UnknownId for a credential without one.
    """
    grant = grant_of(request)
    if grant is None or grant.family_id is None:
        raise UnknownId
    return grant.family_id
