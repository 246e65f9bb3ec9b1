"""What views ask of a request before their one service call."""

from collections.abc import Collection
from typing import Any

from django.http import QueryDict
from rest_framework.request import Request
from rest_framework.serializers import Serializer

from accounts.errors import InvalidRequest, SeveralCredentials


def validated(serializer: type[Serializer[Any]], request: Request) -> dict[str, Any]:
    """Return the body's members as the serializer reads them.

    Raises DRF's ValidationError; InvalidRequest for a form parameter that is there twice
    (RFC 6749 section 3.2).
    """
    if isinstance(request.data, QueryDict):
        _refuse_repeated(request.data, known=serializer().fields)
    form = serializer(data=request.data)
    form.is_valid(raise_exception=True)
    return dict(form.validated_data)


def _refuse_repeated(form: QueryDict, *, known: Collection[str]) -> None:
    """Refuse a parameter that is there twice; only a name of ours is repeated."""
    for name, values in form.lists():
        if len(values) > 1:
            pointer = f"/{name}" if name in known else ""
            raise InvalidRequest("A parameter is there twice.", pointer=pointer)


def only_one(in_body: str, in_header: str | None) -> str:
    """Return the token that was sent, in the body or in the header.

    Raises SeveralCredentials for both, InvalidRequest for none.
    """
    if in_body and in_header:
        raise SeveralCredentials
    token = in_body or in_header
    if not token:
        raise InvalidRequest("Send the refresh token.", pointer="/refresh_token")
    return token
