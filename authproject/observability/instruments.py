"""What each web process counts for /metrics; the worker processes' files are summed when read.

A label's values are few and this code's own words: never what a caller sent, an id or a token.
"""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)

COUNTED = CollectorRegistry()

disable_created_metrics()  # a second series for each counter, with its start

LATENCIES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds

http_requests = Counter(
    "authproject_http_requests_total",
    "Answered requests.",
    ("view", "method", "status"),
    registry=COUNTED,
)
http_request_duration = Histogram(
    "authproject_http_request_duration_seconds",
    "Time until the answer began.",
    ("view", "method"),
    buckets=LATENCIES,
    registry=COUNTED,
)
refusals = Counter(
    "authproject_refusals_total",
    "Refusals and errors answered, by the code in docs/errors.md; a batch's lines one by one.",
    ("code",),
    registry=COUNTED,
)
redemptions = Counter(
    "authproject_redemptions_total",
    "Answered redemptions: reserved, repeated (a retry or a further attempt), or why refused.",
    ("verdict",),
    registry=COUNTED,
)
status_list_served = Gauge(
    "authproject_status_list_served_timestamp_seconds",
    "When a verifier last got a status list, as Unix time; 0: never.",
    registry=COUNTED,
    multiprocess_mode="max",
)
