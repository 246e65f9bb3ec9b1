"""The checkpoints outside of the database: one file a tree head, never written twice.

A file's name is its epoch and size. `latest` repeats the newest one, so that readers need not list
the folder; it is a convenience, the files are the record.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from django.conf import settings

from accounts.tokens.backend import verify_token
from batchtokens.errors import LedgerBehind
from batchtokens_verifier.checkpoints import TreeHead, VerifiedCheckpoint
from batchtokens_verifier.errors import VerificationError
from batchtokens_verifier.jws import Purpose

LATEST = "latest"
_LOCK = "sealer.lock"
_NAME = re.compile(r"(\d{6})-(\d{15})\.jwt")


def put_checkpoint(token: str, head: TreeHead) -> VerifiedCheckpoint:
    """Write a tree head for good and return it; where it is already there, the one that is.

    It is on the disk when this returns. Raises LedgerBehind where another head of this size is
    there, OSError where the sink cannot be written.
    """
    folder = _made_folder()
    name = file_name(head)
    hidden = folder / f".{name}.{secrets.token_hex(8)}"
    _write(hidden, token)
    try:
        # Unlike a rename, a link never takes a file's place: a size has one head for ever.
        os.link(hidden, folder / name)
    except FileExistsError:
        there = read_checkpoint(folder / name)
        if there.head != head:
            raise LedgerBehind(f"The sink has another head of size {head.size}.") from None
        token = there.token
    finally:
        hidden.unlink()
    _sync(folder)
    _point_to(folder, token)
    return read_checkpoint(folder / name)


def _made_folder() -> Path:
    folder: Path = settings.LEDGER_SINK
    folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    return folder


def file_name(head: TreeHead) -> str:
    return f"{head.epoch:06}-{head.size:015}.jwt"


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _point_to(folder: Path, token: str) -> None:
    hidden = folder / f".{LATEST}.{secrets.token_hex(8)}"
    _write(hidden, token)
    hidden.replace(folder / LATEST)


def read_checkpoint(path: Path) -> VerifiedCheckpoint:
    """Read one file of the sink. Raises LedgerBehind where it holds no checkpoint of ours."""
    try:
        token = path.read_text().strip()
        claims = verify_token(token, purpose=Purpose.CHECKPOINT)
        checkpoint = VerifiedCheckpoint.of(claims, token)
    except (VerificationError, ValueError) as error:
        raise LedgerBehind(f"{path.name} in the sink is no checkpoint of ours.") from error
    named = _NAME.fullmatch(path.name)
    if checkpoint.iss != settings.ISSUER_URL or (named and path.name != file_name(checkpoint.head)):
        raise LedgerBehind(f"{path.name} in the sink is another one's checkpoint.")
    return checkpoint


def checkpoint_files() -> list[Path]:
    """Return the record, the oldest head first; none where there is no folder."""
    try:
        with os.scandir(settings.LEDGER_SINK) as found:
            names = sorted(each.name for each in found if _NAME.fullmatch(each.name))
    except FileNotFoundError:
        return []
    return [settings.LEDGER_SINK / name for name in names]


def newest_checkpoint() -> VerifiedCheckpoint | None:
    """Return the newest head of the record; lists the folder."""
    files = checkpoint_files()
    return read_checkpoint(files[-1]) if files else None


def latest_checkpoint() -> VerifiedCheckpoint | None:
    """Return what `latest` says, else what the record does; reads one small file."""
    try:
        return read_checkpoint(settings.LEDGER_SINK / LATEST)
    except FileNotFoundError:
        return newest_checkpoint()


def repair_latest(newest: VerifiedCheckpoint) -> None:
    """Let `latest` repeat the newest head, where a crash came between."""
    with suppress(FileNotFoundError, LedgerBehind):
        if read_checkpoint(settings.LEDGER_SINK / LATEST).head == newest.head:
            return
    _point_to(settings.LEDGER_SINK, newest.token)


@contextmanager
def sink_lock() -> Iterator[bool]:
    """Hold the sink for this process, where there is no database server to do so; False: taken."""
    with (_made_folder() / _LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
