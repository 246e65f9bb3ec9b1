"""The parameters of an OAuth request: one form, each name once (RFC 6749 section 3.2)."""

from collections.abc import Mapping

from django.http import HttpRequest

from accounts.errors import InvalidRequest, InvalidTarget
from authproject.oauth.errors import NotAForm
from authproject.web.parsers import FORM

TARGETS = ("audience", "resource")

Parameters = Mapping[str, str]


def read_form(request: HttpRequest) -> Parameters:
    """Return the parameters of the body; those without a value count as absent.

    Raises NotAForm, InvalidRequest, or InvalidTarget for a second audience or resource.
    """
    if request.content_type != FORM:
        raise NotAForm
    form = dict(request.POST.lists())
    for name, values in form.items():
        if len(values) > 1:
            _refuse_repeated(name)
    return {name: str(value) for name, (value,) in form.items() if value}


def _refuse_repeated(name: str) -> None:
    if name in TARGETS:  # RFC 8693 section 2.1 lets these repeat, so the name is no mistake
        raise InvalidTarget("Name one target.")
    raise InvalidRequest("A parameter is there twice.")


def required(form: Parameters, name: str) -> str:
    """Return one parameter. Raises InvalidRequest where it is absent."""
    if name not in form:
        raise InvalidRequest(f"{name} is missing.")
    return form[name]
