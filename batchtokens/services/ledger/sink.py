"""The checkpoints outside of the database: one file a tree head, never written twice.

A file's name is its epoch and size. `latest` repeats the newest one, so that readers need not list
the folder; it is a convenience, the files are the record. Of each hour the newest stays
(docs/adr/0026): its root covers every entry that the others of the hour did.
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

from accounts.tokens.keyring import current_key_ring
from batchtokens.errors import LedgerBehind
from batchtokens_verifier.checkpoints import TreeHead, VerifiedCheckpoint, verify_checkpoint
from batchtokens_verifier.errors import VerificationError
from batchtokens_verifier.jws import Purpose, unverified_kid

LATEST = "latest"
HOUR = 3600  # seconds of which one head stays
_LOCK = "sealer.lock"
_TRIES = 10
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
        checkpoint = own_checkpoint(path.read_text().strip())
    except (VerificationError, ValueError) as error:
        raise LedgerBehind(f"{path.name} in the sink is no checkpoint of ours.") from error
    if _NAME.fullmatch(path.name) and path.name != file_name(checkpoint.head):
        raise LedgerBehind(f"{path.name} in the sink is another one's checkpoint.")
    return checkpoint


def own_checkpoint(token: str) -> VerifiedCheckpoint:
    """Verify a head that this authority may have signed, also under a key believed no more.

    Such a head binds the database still: if it counted no more, whoever stole the key could have
    the past forgotten by letting that be known. Raises TokenNotValid.
    """
    keys = current_key_ring(wanted=unverified_kid(token) or "").keys_ever(Purpose.CHECKPOINT)
    return verify_checkpoint(token, keys=keys, issuer=settings.ISSUER_URL)


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
    for _ in range(_TRIES):
        files = checkpoint_files()
        if not files:
            return None
        with suppress(FileNotFoundError):  # a newer one took its place since
            return read_checkpoint(files[-1])
    raise LedgerBehind("The newest file of the sink cannot be read.")


def thin_out(former: VerifiedCheckpoint, *, after: VerifiedCheckpoint) -> None:
    """Remove a head that a later one of the same hour and epoch covers.

    Call it once the later one is in the database: until then both are the record.
    """
    same_hour = former.iat // HOUR == after.iat // HOUR
    if same_hour and former.head.epoch == after.head.epoch and former.head.size < after.head.size:
        (settings.LEDGER_SINK / file_name(former.head)).unlink(missing_ok=True)


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
