"""Read text files that are named on the command line."""

from collections.abc import Iterator
from pathlib import Path

from accounts.management.base import UsageError


def lines_of(file: str) -> Iterator[str]:
    """Yield a file's lines. Raises UsageError."""
    try:
        with Path(file).open(encoding="utf-8") as opened:
            yield from opened
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(file, error) from error


def text_of(file: str) -> str:
    """Return a file's text. Raises UsageError."""
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(file, error) from error


def _unreadable(file: str, error: OSError | UnicodeDecodeError) -> UsageError:
    why = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
    return UsageError(f"{file} cannot be read: {why}.")
