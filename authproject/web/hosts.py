"""Which names this service answers to (ALLOWED_HOSTS), and who need not know them."""

from django.http import HttpRequest, HttpResponsePermanentRedirect
from django.middleware.common import CommonMiddleware

from authproject.web.request_id import PROBE_PATHS


class HostMiddleware(CommonMiddleware):
    """Refuse requests under a foreign name, but not probes: those call a process by its address."""

    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        """Check the Host header, as Django does, of everything that is not a probe."""
        return None if request.path in PROBE_PATHS else super().process_request(request)
