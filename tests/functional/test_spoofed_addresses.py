"""A thousand requests that say they come from elsewhere count as what they are."""

import random
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from accounts.models import RateCounter, SecurityEvent

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
LIMIT, REQUESTS = 5, 1000
# What proxies and content networks write, and what frameworks have believed.
HEADERS = (
    "X-Forwarded-For",
    "X-Forwarded",
    "Forwarded-For",
    "X-Real-IP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "X-Originating-IP",
    "X-Remote-IP",
    "X-Remote-Addr",
    "Remote-Addr",
    "Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "Fastly-Client-IP",
    "X-Azure-ClientIP",
    "X-ProxyUser-IP",
    "Via",
)


@pytest.fixture(autouse=True)
def limits_on(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn the limits on, in a window that does not end during a test."""
    settings.RATE_LIMITS = True
    settings.RATE_LIMIT_REFRESH = ((LIMIT, 3600),)
    monkeypatch.setattr("django_ratelimit.core.time", SimpleNamespace(time=lambda: 1.8e9))


def addresses() -> Iterator[str]:
    draw = random.Random(7)
    while True:
        yield str(draw.choice(["198.51.100", "203.0.113", "10.0.0"])) + f".{draw.randrange(256)}"
        yield f"2001:db8:{draw.randrange(65536):x}::1"


def passed(client: Client, headers: dict[str, str]) -> bool:
    answer = client.post(
        "/api/v1/auth/token/refresh",
        {"refresh": "strange"},
        content_type="application/json",
        headers=headers,
    )
    return answer.status_code != 429


def lies(address: str) -> dict[str, str]:
    quoted = f'"[{address}]"' if ":" in address else address
    forwarded = {"Forwarded": f"for={quoted};proto=https;by=203.0.113.43"}
    return dict.fromkeys(HEADERS, address) | forwarded


def test_no_header_is_believed_where_no_proxy_stands(client: Client) -> None:
    made_up = addresses()

    answers = [passed(client, lies(next(made_up))) for _ in range(REQUESTS)]

    assert answers.count(True) == LIMIT
    assert RateCounter.objects.count() == 1
    assert {event.address for event in SecurityEvent.objects.all()} == {"127.0.0.1"}


def test_behind_one_proxy_only_what_it_wrote_counts(client: Client, settings: Any) -> None:
    settings.TRUSTED_PROXY_COUNT = 1
    made_up = addresses()

    answers = [
        passed(
            client,
            lies(next(made_up))
            | {"X-Forwarded-For": f"{next(made_up)}, {next(made_up)}, 192.0.2.{number % 2 + 1}"},
        )
        for number in range(REQUESTS)
    ]

    assert answers.count(True) == 2 * LIMIT  # two callers
    assert RateCounter.objects.count() == 2
