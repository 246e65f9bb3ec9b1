"""Shapes in and out (DESIGN, section 9).  Services hold the rules.

Passwords and tokens are taken as sent: DRF would trim them.
"""

from typing import Any

from rest_framework import serializers

from accounts.api.fields import TextField, TokenField
from accounts.models import User
from accounts.tokens.access import Grant

TEXT = 500
SCOPE = 1000


class PasswordField(TextField):
    """A password, exactly as typed; its length is the service's to judge."""

    def __init__(self, **options: Any) -> None:
        style = {"input_type": "password"}
        super().__init__(trim_whitespace=False, max_length=TEXT, style=style, **options)


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


class RefreshInput(serializers.Serializer[Any]):
    refresh = TokenField()


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


class RefreshForm(serializers.Serializer[Any]):
    refresh_token = TokenField(default="", help_text="Absent: the bearer token is the one.")


class FormPairOutput(serializers.Serializer[Any]):
    access_token = serializers.CharField(source="access")
    refresh_token = serializers.CharField(source="refresh")
    token_type = serializers.CharField()
    expires_in = serializers.IntegerField(help_text="Seconds the access token lives.")
    scope = serializers.CharField()
