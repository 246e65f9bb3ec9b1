"""Write a file that must not exist yet: whole or not at all, for its owner's eyes, and digested."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from accounts.management.base import Refused, Stop


class DigestedFile:
    """A file that is being written, and the SHA-256 of what went in."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "wb")
        self._digest = hashlib.sha256()

    def write(self, content: bytes) -> None:
        self._digest.update(content)
        self._file.write(content)

    @property
    def sha256(self) -> str:
        """Return the digest so far, in hexadecimal, as sha256sum shows it."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """Bring it to the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def abandon(self) -> None:
        """Let go of it, written or not."""
        self._file.close()


@contextmanager
def new_file(path: Path) -> Iterator[DigestedFile]:
    """Give a file that appears under its name when the block ends well.

    Raises Refused where there is one already, Stop where it cannot be written.
    """
    hidden = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        if path.exists():
            raise Refused(f"{path} is there already.")
        file = DigestedFile(os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            yield file
            file.close()
            os.link(hidden, path)  # unlike a rename, it never takes a file's place
        finally:
            file.abandon()
            hidden.unlink()
    except FileExistsError:
        raise Refused(f"{path} is there already.") from None
    except OSError as error:
        raise Stop(f"{path} cannot be written: {error.strerror}.") from None
