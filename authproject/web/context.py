"""Say where a request came from, as far as that may be believed."""

import ipaddress
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from accounts.models import RequestContext
from authproject.web.request_id import current_request_id

USER_AGENT_LENGTH = 300


def request_context(request: HttpRequest) -> RequestContext:
    """Return the caller's address, agent and request id, as services take them."""
    agent = request.headers.get("User-Agent", "")
    return RequestContext(
        address=client_address(request),
        user_agent="".join(filter(str.isprintable, agent))[:USER_AGENT_LENGTH],
        request_id=current_request_id(),
    )


def client_address(request: HttpRequest) -> str:
    """Return the caller's address; "" if there is none that can be believed.

    Each trusted proxy appends who spoke to it, so the caller stands TRUSTED_PROXY_COUNT entries
    from the right; whatever is further left was written by the caller.
    """
    hops = request.headers.get("X-Forwarded-For", "").split(",")
    count = settings.TRUSTED_PROXY_COUNT
    believed = hops[-count] if 0 < count <= len(hops) else request.META.get("REMOTE_ADDR", "")
    try:
        return str(ipaddress.ip_address(believed.strip()))
    except ValueError:
        return ""


class RequestContextMiddleware:
    """Put `request.context` where the apps' views, which know no proxies, find it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer `request` with its context at hand."""
        setattr(request, "context", request_context(request))  # noqa: B010 - HttpRequest declares none
        return self.get_response(request)
