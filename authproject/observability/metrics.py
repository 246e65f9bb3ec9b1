"""/metrics: what Prometheus reads, in its text format or as OpenMetrics."""

import os

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.openmetrics import exposition as openmetrics

from authproject.observability.gauges import StateCollector
from authproject.observability.instruments import COUNTED
from authproject.observability.scraper import SHARED_FOLDER, require_scraper

OPENMETRICS = "application/openmetrics-text"


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer all metrics to the holder of the token."""
    require_scraper(request)
    if OPENMETRICS in request.headers.get("Accept", ""):
        written = openmetrics.generate_latest(everything())
        return HttpResponse(written, content_type=openmetrics.CONTENT_TYPE_LATEST)
    return HttpResponse(generate_latest(everything()), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def everything() -> CollectorRegistry:
    """Return what all processes of this server counted, and what the database says."""
    registry = CollectorRegistry()
    if SHARED_FOLDER in os.environ:
        MultiProcessCollector(registry)
    else:
        registry.register(COUNTED)
    registry.register(StateCollector())
    return registry
