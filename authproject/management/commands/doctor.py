"""Check a deployment before people depend on it: one sentence for each thing to mend."""

import stat
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import run_checks
from django.core.checks.messages import WARNING
from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from accounts.management.base import Findings, ProductCommand
from accounts.models import ApiKey, OutgoingEmail, SigningKey
from accounts.services.warn_expiring_keys import WARN_BEFORE
from accounts.tokens.errors import SigningKeyNotOurs
from accounts.tokens.key_store import key_store
from authproject.management.sink_findings import sink_findings
from authproject.observability.health import OK, readiness
from authproject.observability.scraper import metrics_are_on
from authproject.production import refusals
from batchtokens.services.keys.check_signing_keys import find_revived_keys

SENT_WITHIN = timedelta(minutes=15)


class Command(ProductCommand):
    """Print what is wrong with this installation; exit 6 when something is."""

    help = "Check this installation as a production deployment."
    lists = True

    def handle(self, *args: Any, **options: Any) -> None:
        """Run every check and print its findings."""
        rows = [
            {"id": name, "finding": sentence}
            for name, check in CHECKS.items()
            for sentence in check()
        ]
        self.emit(rows)
        self.say(f"/metrics is {'on' if metrics_are_on() else 'off'}.")
        if rows:
            raise Findings(f"{len(rows)} findings.")
        self.say("Nothing to mend.")


def environment() -> Iterator[str]:
    """Look at what production refuses to start with."""
    if not settings.PRODUCTION:
        yield f"ENVIRONMENT is {settings.ENVIRONMENT}, not production."
    yield from refusals(settings.DEPLOYMENT)


def services() -> Iterator[str]:
    """Look at what /readyz looks at."""
    for name, state in readiness().items():
        if state != OK:
            yield f"{name}: {state}."


def proxy() -> Iterator[str]:
    """Look at who ends TLS: this server does not."""
    if settings.OVER_HTTPS and not settings.TRUSTED_PROXY_COUNT:
        yield (
            "ISSUER_URL is https, but TRUSTED_PROXY_COUNT is 0: every request would be redirected."
            " Say how many proxies stand in front."
        )


def api_keys() -> Iterator[str]:
    """Look for clients' keys that end soon: nobody is written to about them."""
    expiring = ApiKey.objects.expiring(timezone.now(), within=WARN_BEFORE).filter(user=None)
    try:
        keys = list(expiring.select_related("client").order_by("expires_at"))
    except (DatabaseError, InterfaceError):
        return  # `services` says so
    for key in keys:
        yield f"The key {key.public_id} of {key.client} ends on {key.expires_at:%Y-%m-%d}."


def signing_keys() -> Iterator[str]:
    """Look for keys that nobody vouches for, and for ended ones that were put back."""
    try:
        rows = list(SigningKey.objects.all())
        revived = list(find_revived_keys())
    except (DatabaseError, InterfaceError):
        return  # `services` says so
    for row in rows:
        try:
            key_store.open(row)
        except SigningKeyNotOurs as refusal:
            yield f"The row of the signing key {row.kid} {refusal.reason}: it is not used."
    for kid in revived:
        yield f"The signing key {kid} was ended, and its row put back: run retire_key again."


def mail() -> Iterator[str]:
    """Look for e-mails that nobody sends, or that nobody takes."""
    if settings.PRODUCTION and settings.DEFAULT_FROM_EMAIL.endswith("@localhost"):
        yield "EMAIL_FROM is an address that no mail server takes mail from."
    waiting = OutgoingEmail.objects.unsent().filter(created_at__lt=timezone.now() - SENT_WITHIN)
    try:
        count = waiting.count()
    except (DatabaseError, InterfaceError):
        return  # `services` says so
    if count:
        yield (
            f"{count} e-mails have waited for more than {SENT_WITHIN.seconds // 60} minutes:"
            " does manage.py run_worker run, and does EMAIL_URL's server answer?"
        )


def static_files() -> Iterator[str]:
    """Look for the collected static files."""
    if settings.PRODUCTION and not (settings.STATIC_ROOT / "staticfiles.json").exists():
        yield "The static files are not collected: run manage.py collectstatic."


def private_files() -> Iterator[str]:
    """Look for secrets that others on this machine can read."""
    for path in (settings.BASE_DIR / ".env", *_generated(settings.DATA_DIR)):
        if path.exists() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield f"{path.name} can be read by others on this machine: chmod 600."


def _generated(folder: Path) -> list[Path]:
    return [folder / "secret_key", folder / "field_encryption_keys"]


def django_checks() -> Iterator[str]:
    """Pass on what Django's own deployment checks say."""
    for message in run_checks(include_deployment_checks=True):
        if message.level >= WARNING and not message.is_silenced():
            yield f"{message.id}: {message.msg}"


CHECKS: dict[str, Callable[[], Iterator[str]]] = {
    "environment": environment,
    "services": services,
    "proxy": proxy,
    "api_keys": api_keys,
    "signing_keys": signing_keys,
    "ledger_sink": sink_findings,
    "mail": mail,
    "static_files": static_files,
    "private_files": private_files,
    "django": django_checks,
}
