"""Makes an installation ready to serve; whatever a former run left half done is completed.

What cannot be done ends as Stop: its cause, and what to do about it, in one sentence.
"""

import secrets
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.core.validators import validate_email
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from accounts.management.base import Stop, UsageError
from accounts.models import User
from accounts.services.record_event import record_event
from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.tokens.errors import NoSigningKey
from accounts.tokens.keyring import RingKey, current_key_ring
from batchtokens_verifier.jws import Purpose

HOST = "127.0.0.1"
ADMINISTRATOR = "admin"
DEFAULT_EMAIL = "admin@localhost"
PASSWORD_GROUPS, GROUP_LENGTH = 4, 3
# Without what looks alike; 4 groups of 3 are 68 bits.
PASSWORD_ALPHABET = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRTUVWXY346789"


@dataclass(frozen=True)
class Administrator:
    """Who administers; `password` is "" where the account was there before."""

    email: str
    password: str = field(default="", repr=False)


def require_writable(folder: Path) -> None:
    """Raise Stop where no file can be made in the folder."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise Stop(
            f"{folder} cannot be written to ({error.strerror}):"
            " change its owner, or set DATA_DIR to another folder."
        ) from error


def migrate() -> str:
    """Bring the database up to date; return what was done."""
    begin = time.monotonic()
    try:
        is_new = not connection.introspection.table_names()
        executor = MigrationExecutor(connection)
        missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
        call_command("migrate", interactive=False, verbosity=0)
    except DatabaseError as error:
        cause = str(error).strip().partition("\n")[0]
        raise Stop(f"The database cannot be used ({cause}): {_database_mend()}.") from error
    took = f"{time.monotonic() - begin:.1f} s"
    if is_new:
        return f"{connection.vendor} (created, {took})"
    return f"{connection.vendor} ({f'{missing} migrations, {took}' if missing else 'up to date'})"


def _database_mend() -> str:
    if connection.vendor == "sqlite":
        return f"move {connection.settings_dict['NAME']} away, and a new one is made"
    return "check DATABASE_URL, and that the server runs and the role may create tables"


def collect_static_files() -> None:
    """Gather the static files where production serves them from."""
    call_command("collectstatic", interactive=False, verbosity=0)


def ensure_keys() -> RingKey:
    """Make the signing keys that are missing; return the one that signs access tokens."""
    ensure_signing_keys()
    ring, now = current_key_ring(), timezone.now()
    try:
        keys = {purpose: ring.signing_key(purpose, now) for purpose in Purpose}
    except NoSigningKey as error:
        raise Stop(
            "The database's signing keys cannot be opened: set the FIELD_ENCRYPTION_KEYS that it"
            " was made with, or begin anew with an empty database."
        ) from error
    return keys[Purpose.ACCESS]


def ensure_administrator(email: str) -> Administrator:
    """Make the first administrator with a new password; one that exists is kept as it is."""
    existing = User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
    if existing is not None:
        return Administrator(existing.email)
    try:
        validate_email(email)
    except ValidationError as error:
        raise UsageError(f"--email: {' '.join(error.messages)}") from error
    password = generate_password()
    try:
        with transaction.atomic(durable=True):
            user = User.objects.create_superuser(ADMINISTRATOR, email, password)
            record_event(code="administrator_created", user=user)
    except IntegrityError as error:
        raise Stop(
            f"Somebody who is no administrator has the name {ADMINISTRATOR} or the address {email}:"
            " make an administrator with manage.py createsuperuser, and try again."
        ) from error
    return Administrator(email, password)


def generate_password() -> str:
    """Draw a password that can be read out and typed."""
    groups = (
        "".join(secrets.choice(PASSWORD_ALPHABET) for _ in range(GROUP_LENGTH))
        for _ in range(PASSWORD_GROUPS)
    )
    return "-".join(groups)
