"""Shapes in and out.  Services hold the rules.

Passwords and tokens are taken as sent: DRF would trim them.
"""

from typing import Any

from rest_framework import serializers

from accounts.api.fields import TextField, TokenField
from accounts.models import User
from accounts.tokens.access import Grant

TEXT = 500
SCOPE = 1000
NARROWS = "A part of the session's scope, for this access token alone."
CODE = 64  # a recovery code with its dashes, and room for spaces


class PasswordField(TextField):
    """A password, exactly as typed; its length is the service's to judge."""

    def __init__(self, **options: Any) -> None:
        style = {"input_type": "password"}
        super().__init__(trim_whitespace=False, max_length=TEXT, style=style, **options)


class OtpField(TextField):
    """A code of an authenticator app, or a recovery code, however it is typed."""

    def __init__(self, **options: Any) -> None:
        text = "Six digits of the authenticator app, or a recovery code."
        super().__init__(max_length=CODE, **{"help_text": text, **options})


class RegisterInput(serializers.Serializer[Any]):
    username = TextField(max_length=TEXT)
    email = TextField(max_length=TEXT)
    password = PasswordField()


class UserOutput(serializers.Serializer[User]):
    id = serializers.CharField(source="public_id")
    username = serializers.CharField()
    email = serializers.CharField()
    date_joined = serializers.DateTimeField()


class SignInInput(serializers.Serializer[Any]):
    username = TextField(max_length=TEXT)
    password = PasswordField()
    scope = TextField(max_length=SCOPE, default="", allow_blank=True)
    resource = TextField(max_length=TEXT, default="", allow_blank=True)
    otp = OtpField(default="", allow_blank=True)


class CompleteSignInInput(serializers.Serializer[Any]):
    mfa_token = TokenField(help_text="From the answer `mfa_required`.")
    otp = OtpField()


class StepUpInput(serializers.Serializer[Any]):
    otp = OtpField(
        default="", allow_blank=True, help_text="From who has an authenticator app: a code."
    )
    password = PasswordField(
        default="", allow_blank=True, help_text="From who has no authenticator app."
    )
    refresh = TokenField(default="", help_text="Absent: the session of the bearer token is meant.")


class AccessTokenOutput(serializers.Serializer[Any]):
    access = serializers.CharField()
    token_type = serializers.CharField()
    expires_in = serializers.IntegerField(help_text="Seconds the access token lives.")
    scope = serializers.CharField()


class RefreshInput(serializers.Serializer[Any]):
    refresh = TokenField()
    scope = TextField(max_length=SCOPE, default="", allow_blank=True, help_text=NARROWS)


class TokenPairOutput(serializers.Serializer[Any]):
    access = serializers.CharField()
    refresh = serializers.CharField()
    token_type = serializers.CharField()
    expires_in = serializers.IntegerField(help_text="Seconds the access token lives.")
    scope = serializers.CharField()


class VerifyInput(serializers.Serializer[Any]):
    token = TokenField()


class GrantOutput(serializers.Serializer[Grant]):
    sub = serializers.CharField()
    client_id = serializers.CharField()
    scope = serializers.CharField(source="scope_text")
    aud = serializers.CharField(source="audience")
    expires_at = serializers.DateTimeField()


class LogOutInput(serializers.Serializer[Any]):
    refresh = TokenField(default="", help_text="Absent: the session of the bearer token ends.")


class SignInForm(serializers.Serializer[Any]):
    """The form of RFC 6749 section 4.3 without its grant type; this is no OAuth endpoint."""

    username = TextField(max_length=TEXT)
    password = PasswordField()
    scope = TextField(max_length=SCOPE, default="", allow_blank=True)
    otp = OtpField(default="", allow_blank=True)


class RefreshForm(serializers.Serializer[Any]):
    refresh_token = TokenField(default="", help_text="Absent: the bearer token is the one.")
    scope = TextField(max_length=SCOPE, default="", allow_blank=True, help_text=NARROWS)


class FormPairOutput(serializers.Serializer[Any]):
    access_token = serializers.CharField(source="access")
    refresh_token = serializers.CharField(source="refresh")
    token_type = serializers.CharField()
    expires_in = serializers.IntegerField(help_text="Seconds the access token lives.")
    scope = serializers.CharField()
