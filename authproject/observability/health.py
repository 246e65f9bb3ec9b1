"""Health: is this process alive, and can it serve?

Only what this process needs to answer decides (database, migrations, keys): a load balancer must
not take every web server away because a worker or a broker is.
"""

import logging
from collections.abc import Callable

from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.limits.stores import redis
from accounts.tokens.errors import NoSigningKey
from accounts.tokens.keyring import KeyRing, current_key_ring, fresher_key_ring
from batchtokens.services.ledger.measure_sealing import seconds_unsealed
from batchtokens.services.reports.report_missed import missed_recently
from batchtokens_verifier.jws import Purpose

OK = "ok"
NEEDED_KEYS = frozenset({Purpose.ACCESS, Purpose.REFRESH, Purpose.OPERATION, Purpose.RECEIPT})

SEALED_WITHIN = 10.0  # seconds

logger = logging.getLogger(__name__)


class Migrations:
    """Ask the database for missing migrations until there are none; they do not come back."""

    def __init__(self) -> None:
        self._applied = False

    def state(self) -> str:
        """Return "ok", or how many migrations are missing."""
        if not self._applied:
            executor = MigrationExecutor(connection)
            plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
            if plan:
                return f"{len(plan)} migrations are not applied"
            self._applied = True
        return OK


migrations = Migrations()


def database_state() -> str:
    """Return "ok" when the database answers a query."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return OK


def keys_state() -> str:
    """Return "ok", or the purposes for which no active key can be opened."""
    missing = _missing_keys(current_key_ring()) and _missing_keys(fresher_key_ring())
    return f"no active key that opens: {', '.join(missing)}" if missing else OK


def _missing_keys(ring: KeyRing) -> list[str]:
    return sorted(purpose for purpose in NEEDED_KEYS if not _signs(ring, purpose))


def _signs(ring: KeyRing, purpose: Purpose) -> bool:
    try:
        ring.signing_key(purpose, timezone.now())
    except NoSigningKey:
        return False
    return True


PARTS: dict[str, Callable[[], str]] = {
    "database": database_state,
    "migrations": migrations.state,
    "keys": keys_state,
}


def occurrences_state() -> str:
    """Return "ok", or how many due runs were found missed within a day."""
    missed = missed_recently()
    return f"{missed} missed within a day" if missed else OK


def sealer_state() -> str:
    """Return "ok", or since when entries wait for the sealer."""
    waited = seconds_unsealed()
    return f"entries wait since {waited:.0f} s" if waited > SEALED_WITHIN else OK


# Without these it serves, too: they are reported, and decide nothing.
HELPFUL_PARTS: dict[str, Callable[[], str]] = {
    "cache": redis.state,
    "occurrences": occurrences_state,
    "sealer": sealer_state,
}


def readiness() -> dict[str, str]:
    """Return the state of each part; one that cannot be asked is "unavailable"."""
    return {name: _asked(name, part) for name, part in (PARTS | HELPFUL_PARTS).items()}


def _asked(name: str, part: Callable[[], str]) -> str:
    try:
        return part()
    except (DatabaseError, InterfaceError):
        logger.warning("readiness: %s is unavailable", name)
        return "unavailable"


@require_safe
def livez(request: HttpRequest) -> JsonResponse:
    """Answer: this process runs."""
    return JsonResponse({"status": "alive"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 when this process can serve, else 503, with the state of each part."""
    parts = readiness()
    ready = all(parts[name] == OK for name in PARTS)
    return JsonResponse(
        {"status": "ready" if ready else "unavailable", "parts": parts},
        status=200 if ready else 503,
    )
