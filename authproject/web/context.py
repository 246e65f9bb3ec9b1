"""Say where a request came from, as far as that may be believed."""

import ipaddress
import re
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from accounts.models import RequestContext
from accounts.models.security_event import USER_AGENT_LENGTH
from authproject.web.request_id import current_request_id

# `address:port` as some proxies write it; an IPv6 address has brackets then (RFC 3986 §3.2.2).
_WITH_PORT = re.compile(r"(?:\[([^]]*)\]|([^:]*))(?::[0-9]{1,5})?")


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
    from the right; whatever is further left was written by the caller.  An entry that is no address
    leaves the proxy's own: callers without one would all be limited as one.
    """
    hops = request.headers.get("X-Forwarded-For", "").split(",")
    count = settings.TRUSTED_PROXY_COUNT
    believed = _address(hops[-count]) if 0 < count <= len(hops) else ""
    return believed or _address(request.META.get("REMOTE_ADDR", ""))


def _address(text: str) -> str:
    """Read an address, of IPv4 also in IPv6's clothes (RFC 4291 §2.5.5.2); "" if it is none."""
    with_port = _WITH_PORT.fullmatch(text.strip())
    bare = (with_port[1] or with_port[2] or "") if with_port else text.strip()
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    # A zone means something on one host alone, and may be of any length (RFC 4007 §11).
    return "" if address.scope_id else str(address.ipv4_mapped or address)


class RequestContextMiddleware:
    """Put `request.context` where the apps' views, which know no proxies, find it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer `request` with its context at hand."""
        setattr(request, "context", request_context(request))  # noqa: B010 - HttpRequest declares none
        return self.get_response(request)
