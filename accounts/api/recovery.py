"""Addresses and passwords: show that they are yours, change them, get back in.

Whoever asks by an e-mail address gets one answer, whether or not somebody has it.
"""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.authentication import BearerAuthentication, context_of, grant_of
from accounts.api.fields import TextField
from accounts.api.permissions import FreshAuthentication, HasScope, IsUser
from accounts.api.requests import validated
from accounts.api.serializers import TEXT, PasswordField
from accounts.api.throttles import AnonymousThrottle, ExpensiveThrottle
from accounts.api.views import PublicView, signed_in_user
from accounts.models import TotpDevice
from accounts.scopes import ACCOUNT
from accounts.services.change_email import ask_for_email_change, confirm_email_change
from accounts.services.change_password import change_password
from accounts.services.freeze_account import WAY_BACK, freeze_account
from accounts.services.reset_password import ask_for_reset, reset_password
from accounts.services.verify_email import resend_verification, verify_email


class LinkInput(serializers.Serializer[Any]):
    token = TextField(max_length=TEXT, help_text="The code of the e-mail.")


class EmailInput(serializers.Serializer[Any]):
    email = TextField(max_length=TEXT)


class ChangePasswordInput(serializers.Serializer[Any]):
    current_password = PasswordField()
    new_password = PasswordField()


class ResetPasswordInput(serializers.Serializer[Any]):
    token = TextField(max_length=TEXT, help_text="The code of the e-mail.")
    new_password = PasswordField()


class FrozenOutput(serializers.Serializer[Any]):
    detail = serializers.CharField(help_text="What was done, and the way back.")


class FreshSecondFactor(FreshAuthentication):
    """Who has an authenticator app has shown a code just now; the password is in the body."""

    needs = "a recent step-up, where an authenticator app is on"

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Say whether a person is there.

        Raises AuthenticationTooOld (RFC 9470).
        """
        grant = grant_of(request)
        if grant is None:
            return False
        has_app = TotpDevice.objects.is_on_for(grant.subject.pk)
        return super().has_permission(request, view) if has_app else True


class VerifyEmailView(PublicView):
    throttle_classes = (AnonymousThrottle,)

    @extend_schema(request=LinkInput, responses={204: None}, tags=["auth"])
    def post(self, request: Request) -> Response:
        """Show that an e-mail address is yours."""
        verify_email(**validated(LinkInput, request), context=context_of(request))
        return Response(status=204)


class ResendVerificationView(PublicView):
    throttle_classes = (ExpensiveThrottle, AnonymousThrottle)

    @extend_schema(request=EmailInput, responses={202: None}, tags=["auth"])
    def post(self, request: Request) -> Response:
        """Send the link that verifies an address once more, if somebody waits for it."""
        resend_verification(**validated(EmailInput, request), context=context_of(request))
        return Response(status=202)


class ChangeEmailView(APIView):
    authentication_classes = (BearerAuthentication,)
    permission_classes = (IsUser, HasScope(ACCOUNT), FreshAuthentication)
    throttle_classes = (ExpensiveThrottle,)

    @extend_schema(request=EmailInput, responses={202: None}, tags=["auth"])
    def post(self, request: Request) -> Response:
        """Send a link to a new address; the former one stays until the link is opened."""
        ask_for_email_change(
            by=signed_in_user(request),
            **validated(EmailInput, request),
            context=context_of(request),
        )
        return Response(status=202)


class ConfirmEmailView(PublicView):
    throttle_classes = (AnonymousThrottle,)

    @extend_schema(request=LinkInput, responses={204: None}, tags=["auth"])
    def post(self, request: Request) -> Response:
        """Take the address that the link was sent to."""
        confirm_email_change(**validated(LinkInput, request), context=context_of(request))
        return Response(status=204)


class ChangePasswordView(APIView):
    authentication_classes = (BearerAuthentication,)
    permission_classes = (IsUser, HasScope(ACCOUNT), FreshSecondFactor)
    throttle_classes = (ExpensiveThrottle,)

    @extend_schema(request=ChangePasswordInput, responses={204: None}, tags=["auth"])
    def post(self, request: Request) -> Response:
        """Choose another password; every other place is signed out."""
        grant = grant_of(request)
        change_password(
            by=signed_in_user(request),
            **validated(ChangePasswordInput, request),
            keep=grant.family_id if grant else None,
            context=context_of(request),
        )
        return Response(status=204)


class AskForResetView(PublicView):
    throttle_classes = (ExpensiveThrottle, AnonymousThrottle)

    @extend_schema(request=EmailInput, responses={202: None}, tags=["auth"])
    def post(self, request: Request) -> Response:
        """Send a link that sets a new password, if somebody has the address."""
        ask_for_reset(**validated(EmailInput, request), context=context_of(request))
        return Response(status=202)


class ResetPasswordView(PublicView):
    throttle_classes = (ExpensiveThrottle, AnonymousThrottle)

    @extend_schema(request=ResetPasswordInput, responses={204: None}, tags=["auth"])
    def post(self, request: Request) -> Response:
        """Set a new password with a link's code; every place is signed out."""
        reset_password(**validated(ResetPasswordInput, request), context=context_of(request))
        return Response(status=204)


class NotMeView(PublicView):
    throttle_classes = (AnonymousThrottle,)

    @extend_schema(request=LinkInput, responses=FrozenOutput, tags=["auth"])
    def post(self, request: Request) -> Response:
        """Say "this wasn't me": the account opens nothing until its password is reset."""
        freeze_account(**validated(LinkInput, request), context=context_of(request))
        return Response(FrozenOutput({"detail": WAY_BACK}).data)
