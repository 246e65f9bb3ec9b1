"""docs/metrics.md and the alerts name what /metrics has, and all of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families
from pytest_django.fixtures import Settings

from authproject.observability import instruments
from authproject.observability.gauges import DATABASE_UP, GAUGES
from tests.repository.tree import text
from tests.scrapes import BEARER, TOKEN, scrape

pytestmark = pytest.mark.django_db

Row = tuple[str, str, str, str]
ROW = re.compile(r"^\| `(authproject_\w+)` \| (\w+) \| ([^|]*) \| (.+) \|$", re.MULTILINE)
SUFFIXES = {"histogram": ("_bucket", "_count", "_sum")}
RULES: list[dict[str, Any]] = yaml.safe_load(text("deploy/prometheus/alerts.yml"))["groups"][0][
    "rules"
]


@pytest.fixture(autouse=True)
def on(settings: Settings) -> None:
    settings.METRICS_TOKEN = TOKEN


def documented() -> list[Row]:
    return [tuple(found) for found in ROW.findall(text("docs/metrics.md"))]


def labels() -> Iterator[tuple[str, list[str]]]:
    for each in vars(instruments).values():
        if isinstance(each, Counter | Gauge | Histogram):
            [family] = each.describe()
            yield family.name, list(each._labelnames)
    for gauge in (gauge for gauges in GAUGES.values() for gauge in gauges):
        yield f"authproject_{gauge.name}", [gauge.label] if gauge.label else []
    yield DATABASE_UP, []


def served(client: Any) -> list[Row]:
    """Return what the endpoint declares, in its order."""
    content = client.get("/metrics", headers=BEARER).content.decode()
    known = dict(labels())
    return [
        (
            f"{family.name}_total" if family.type == "counter" else family.name,
            family.type,
            ", ".join(f"`{label}`" for label in known[family.name]),
            family.documentation,
        )
        for family in text_string_to_metric_families(content)
    ]


def test_each_metric_is_documented_as_it_is_served(client: Any) -> None:
    assert documented() == served(client)


def test_samples_have_the_labels_that_are_declared(client: Any) -> None:
    known = {name: set(found) for name, found in labels()}
    scrape(client)
    content = client.get("/metrics", headers=BEARER).content.decode()
    odd = [
        sample
        for family in text_string_to_metric_families(content)
        for sample in family.samples
        if set(sample.labels) - {"le"} != known[family.name]
    ]
    assert odd == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_each_alert_asks_for_metrics_that_exist(rule: dict[str, Any]) -> None:
    known = {
        name + suffix: dict(labels())[name.removesuffix("_total")]
        for name, kind, _, _ in documented()
        for suffix in SUFFIXES.get(kind, ("",))
    }
    asked = re.findall(r"(authproject_\w+)(?:\{(\w+)=)?", rule["expr"])
    assert asked
    assert [name for name, _ in asked if name not in known] == []
    assert [label for name, label in asked if label and label not in known[name]] == []
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"]


def test_verdicts_that_alerts_wait_for_are_codes_and_begin_at_0(client: Any) -> None:
    """A rise from nothing is none to Prometheus: such a series must be there before it counts."""
    verdicts = set(re.findall(r'verdict="(\w+)"', text("deploy/prometheus/alerts.yml")))
    shown = {dict(pairs).get("verdict") for _, pairs in scrape(client)}
    assert verdicts
    assert verdicts <= shown
    codes = set(re.findall(r"^\| `(\w+)` \|", text("docs/errors.md"), re.MULTILINE))
    assert verdicts <= codes


def test_each_alert_has_a_name_of_its_own() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names))
