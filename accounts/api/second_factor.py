"""One's own second factor: an authenticator app, and the recovery codes beside it.

Looking needs the scope alone; what shows a secret or changes something needs who has just shown
who they are, with a code where an app is on.
"""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.authentication import BearerAuthentication, context_of, grant_of
from accounts.api.fields import TextField
from accounts.api.permissions import FreshToChange, HasScope, IsUser
from accounts.api.requests import validated
from accounts.api.throttles import BeginThrottle
from accounts.api.views import signed_in_user
from accounts.scopes import ACCOUNT
from accounts.services.begin_totp import begin_totp
from accounts.services.confirm_totp import confirm_totp
from accounts.services.disable_totp import disable_totp
from accounts.services.read_second_factor import count_recovery_codes, read_totp
from accounts.services.replace_recovery_codes import replace_recovery_codes

OTP_LENGTH = 32  # six digits, however they are spaced


class TotpOutput(serializers.Serializer[Any]):
    enabled = serializers.BooleanField()
    enabled_at = serializers.DateTimeField(allow_null=True)
    being_set_up = serializers.BooleanField()


class TotpSetupOutput(serializers.Serializer[Any]):
    uri = serializers.CharField(help_text="What the app scans (Key URI format).")
    secret = serializers.CharField(help_text="What is typed instead: base32, in groups of four.")
    qr_svg = serializers.CharField(help_text="`uri` as a QR code: an <svg> element.")


class ConfirmTotpInput(serializers.Serializer[Any]):
    otp = TextField(max_length=OTP_LENGTH)


class RecoveryCodesOutput(serializers.Serializer[Any]):
    recovery_codes = serializers.ListField(
        child=serializers.CharField(), help_text="Shown this once; each opens once."
    )


class RecoveryCodeCountOutput(serializers.Serializer[Any]):
    left = serializers.IntegerField()
    total = serializers.IntegerField()


class SecondFactorView(APIView):
    """What all of them want: a person's own token; an API key is no person."""

    authentication_classes = (BearerAuthentication,)
    permission_classes = (IsUser, HasScope(ACCOUNT))


class TotpView(FreshToChange, SecondFactorView):
    throttle_classes = (BeginThrottle,)

    @extend_schema(responses=TotpOutput, tags=["me"])
    def get(self, request: Request) -> Response:
        """Tell whether an authenticator app is on."""
        return Response(TotpOutput(read_totp(user=signed_in_user(request))).data)

    @extend_schema(request=None, responses={201: TotpSetupOutput}, tags=["me"])
    def post(self, request: Request) -> Response:
        """Begin to set an authenticator app up; a code of it turns it on."""
        setup = begin_totp(by=signed_in_user(request))
        return Response(TotpSetupOutput(setup).data, status=201)

    @extend_schema(responses={204: None}, tags=["me"])
    def delete(self, request: Request) -> Response:
        """Turn the authenticator app off, and its recovery codes with it."""
        disable_totp(
            by=signed_in_user(request), acr=shown_acr(request), context=context_of(request)
        )
        return Response(status=204)


class ConfirmTotpView(SecondFactorView):
    @extend_schema(request=ConfirmTotpInput, responses=RecoveryCodesOutput, tags=["me"])
    def post(self, request: Request) -> Response:
        """Show a code, so that the authenticator app is on; get ten recovery codes."""
        codes = confirm_totp(
            by=signed_in_user(request),
            **validated(ConfirmTotpInput, request),
            context=context_of(request),
        )
        return Response(RecoveryCodesOutput({"recovery_codes": codes}).data)


class RecoveryCodesView(FreshToChange, SecondFactorView):
    @extend_schema(responses=RecoveryCodeCountOutput, tags=["me"])
    def get(self, request: Request) -> Response:
        """Tell how many recovery codes are left."""
        counted = count_recovery_codes(user=signed_in_user(request))
        return Response(RecoveryCodeCountOutput(counted).data)

    @extend_schema(request=None, responses={201: RecoveryCodesOutput}, tags=["me"])
    def post(self, request: Request) -> Response:
        """Replace all recovery codes by ten new ones."""
        codes = replace_recovery_codes(
            by=signed_in_user(request), acr=shown_acr(request), context=context_of(request)
        )
        return Response(RecoveryCodesOutput({"recovery_codes": codes}).data, status=201)


def shown_acr(request: Request) -> str:
    """Return how surely the person behind the request has signed in."""
    grant = grant_of(request)
    return grant.acr if grant else ""
