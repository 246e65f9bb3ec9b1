"""What the database says when /metrics is read: about fifteen short statements, whatever its size.

Either all of it is told or only that the database is down: half of it could look like good news.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from django.db import DatabaseError, InterfaceError, connection, transaction
from django.utils import timezone
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from accounts.models import ApiKey, OutgoingEmail
from accounts.services.warn_expiring_keys import WARN_BEFORE
from accounts.tokens.errors import NoSigningKey
from accounts.tokens.keyring import current_key_ring
from batchtokens.models.clock import database_now
from batchtokens.services.ledger.measure_sealing import checkpoint_age, seconds_unsealed
from batchtokens.services.reports.measure_work import (
    count_abandoned_runs,
    count_dead_runs,
    count_stopped_executors,
    count_stopped_types,
    count_token_states,
    measure_in_doubt,
    measure_waiting_runs,
)
from batchtokens.services.reports.report_missed import missed_by_executor
from batchtokens_verifier.jws import Purpose

STATEMENT_MS = 2000  # Prometheus waits for 10 s in all
DATABASE_UP = "authproject_database_up"

logger = logging.getLogger(__name__)

Value = float | None
Values = Value | Mapping[str, float]


@dataclass(frozen=True)
class Gauge:
    """One metric's declaration; `label` is empty where it has one value."""

    name: str
    help: str
    label: str = ""

    def family(self, values: Values) -> Metric:
        """Return the metric with its values: one for each label's value, or one; None: none."""
        labels = [self.label] if self.label else []
        family = GaugeMetricFamily(f"authproject_{self.name}", self.help, labels=labels)
        if isinstance(values, Mapping):
            for word, value in values.items():
                family.add_metric([word], value)
        elif values is not None:
            family.add_metric([], values)
        return family


Read = Callable[[datetime], Iterable[Values]]


def _missed(now: datetime) -> Iterator[Values]:
    yield missed_by_executor(now=now)


def _queue(now: datetime) -> Iterator[Values]:
    waiting = measure_waiting_runs(now=now)
    yield from (waiting.count, waiting.oldest)
    yield count_abandoned_runs(now=now)
    yield count_dead_runs(now=now)


def _redemptions(now: datetime) -> Iterator[Values]:
    doubt = measure_in_doubt(now=now)
    yield from (doubt.count, doubt.oldest)


def _operations(now: datetime) -> Iterator[Values]:
    yield {state.value: count for state, count in count_token_states(now=now).items()}
    yield {by.value: count for by, count in count_stopped_executors().items()}
    yield count_stopped_types()


def _ledger(now: datetime) -> Iterator[Values]:
    yield seconds_unsealed()
    yield checkpoint_age(now=now)


def _keys(now: datetime) -> Iterator[Values]:
    ages = dict(_signing_key_ages())
    yield {purpose.value: float(purpose in ages) for purpose in Purpose}
    yield {purpose.value: age for purpose, age in ages.items()}
    yield ApiKey.objects.expiring(now, within=WARN_BEFORE).filter(user=None).count()


def _mail(now: datetime) -> Iterator[Values]:
    due = OutgoingEmail.objects.due(now).values_list("due_at", flat=True).first()
    yield (now - due).total_seconds() if due else 0.0


def _signing_key_ages() -> Iterator[tuple[Purpose, float]]:
    """Yield what the ring would sign with now: a row that is no key of ours is none."""
    ring, now = current_key_ring(), timezone.now()
    for purpose in Purpose:
        try:
            key = ring.signing_key(purpose, now)
        except NoSigningKey:
            continue
        yield purpose, (now - key.activates_at).total_seconds()


GAUGES: dict[Read, tuple[Gauge, ...]] = {
    _missed: (Gauge("missed_runs", "Due runs found missed within the last day.", "executor"),),
    _queue: (
        Gauge("queue_waiting_runs", "Due runs that no worker has taken, up to 10000."),
        Gauge("queue_oldest_waiting_seconds", "How long the first of them has waited."),
        Gauge("queue_abandoned_runs", "Runs whose worker did not come back, up to 10000."),
        Gauge("queue_dead_runs", "Runs given up within the last day, up to 10000."),
    ),
    _redemptions: (
        Gauge(
            "redemptions_in_doubt",
            "Reservations neither settled nor released when their lease ended, up to 10000.",
        ),
        Gauge("redemptions_oldest_in_doubt_seconds", "How long the first of them is in doubt."),
    ),
    _operations: (
        Gauge("operation_tokens", "Of the newest 1000 operation tokens, by state.", "state"),
        Gauge("executors_stopped", "Executors that reserve nothing, by what stopped them.", "by"),
        Gauge("operation_types_stopped", "Operation types that staff switched off."),
    ),
    _ledger: (
        Gauge("ledger_unsealed_seconds", "How long the first unsealed ledger entry has waited."),
        Gauge("ledger_checkpoint_age_seconds", "Age of the newest checkpoint."),
    ),
    _keys: (
        Gauge("signing_key_active", "1 where there is a key that signs, else 0.", "purpose"),
        Gauge("signing_key_age_seconds", "For how long that key has signed.", "purpose"),
        Gauge("client_keys_expiring", "Clients' API keys that end within 14 days, unfollowed."),
    ),
    _mail: (Gauge("email_oldest_due_seconds", "How long the first e-mail to be sent has waited."),),
}


class StateCollector(Collector):
    """Reads the database each time it is collected."""

    def collect(self) -> Iterator[Metric]:
        """Yield whether the database answers, and, if so, what it says."""
        up = GaugeMetricFamily(DATABASE_UP, "1 where the database answered all of this, else 0.")
        try:
            families = list(_families())
        except (DatabaseError, InterfaceError) as error:
            logger.warning("metrics: the database did not answer: %s", type(error).__name__)
            families = []
        up.add_metric([], float(bool(families)))
        yield up
        yield from families


def _families() -> Iterator[Metric]:
    with _impatient():
        now = database_now()
        for read, gauges in GAUGES.items():
            for gauge, values in zip(gauges, read(now), strict=True):
                yield gauge.family(values)


@contextmanager
def _impatient() -> Iterator[None]:
    """Let no statement take longer than a scrape can wait for.

    SQLite has no such limit, and a transaction there would keep others from writing.
    """
    if connection.vendor != "postgresql":
        yield
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{STATEMENT_MS}ms"])
        yield
