"""Read /metrics as Prometheus does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

TOKEN = "a-token-of-Prometheus-0123456789abcdef"
BEARER = {"Authorization": f"Bearer {TOKEN}"}

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(client: Client | None = None) -> Samples:
    """Return each sample's value by its name, without our prefix, and its labels."""
    answer: Any = (client or Client()).get("/metrics", headers=BEARER)
    assert answer.status_code == 200, answer.content
    return samples(answer.content.decode())


def samples(text: str) -> Samples:
    """Return the samples of a text that was scraped."""
    return {
        (sample.name.removeprefix("authproject_"), frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    """Return one sample's value; one that nothing has counted yet is 0."""
    return found.get((name, frozenset(labels.items())), 0.0)
