"""Who may read /metrics: the holder of METRICS_TOKEN, and nobody where there is none.

It is compared without the database, so that a scrape can say that the database is down.
"""

from django.conf import settings
from django.http import Http404, HttpRequest
from django.utils.crypto import constant_time_compare
from rest_framework.exceptions import NotAuthenticated

from accounts.api.authentication import bearer_token
from authproject.production import METRICS_TOKEN_LENGTH
from batchtokens_verifier.errors import TokenNotValid

# prometheus_client reads it when it is imported: `serve` sets it before, so it is named here.
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def metrics_are_on() -> bool:
    """Tell whether there is a token, and one that nobody guesses."""
    return len(settings.METRICS_TOKEN) >= METRICS_TOKEN_LENGTH


def require_scraper(request: HttpRequest) -> None:
    """Raise Http404 where metrics are off, NotAuthenticated or TokenNotValid for strangers."""
    if not metrics_are_on():
        raise Http404
    token = bearer_token(request)
    if token is None:
        raise NotAuthenticated
    if not constant_time_compare(token, settings.METRICS_TOKEN):
        raise TokenNotValid(reason="not the metrics token")
