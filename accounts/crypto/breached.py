"""Passwords that were leaked: an offline list, too long for memory, searched where it lies.

Its lines are `SHA-1[:count]` in hex, sorted, as Have I Been Pwned gives them out.
"""

import hashlib
import os
import re
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

_DIGEST_LENGTH = 40
_LINE = re.compile(rb"[0-9A-Fa-f]{40}(:[0-9]+)?\r?\n?")
_SAMPLES = 256


def is_breached(password: str, *, listed_in: Path) -> bool:
    """Say whether the list holds the password; about 35 short reads for a billion lines.

    Raises OSError where the list cannot be read: then nobody knows.
    """
    digest = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper().encode()
    with listed_in.open("rb") as file:
        return _first_not_below(file, digest) == digest


def is_sorted_list(path: Path) -> bool:
    """Say whether a file looks like such a list, by lines from all over it.

    Lists sorted by count are given out, too; there, a search would find nothing.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        offsets = range(0, size, max(1, size // _SAMPLES))
        lines = [_line_from(file, offset) for offset in offsets]
    samples = [line for line in lines if line]
    well_formed = bool(samples) and all(_LINE.fullmatch(line) for line in samples)
    return well_formed and all(_key(a) <= _key(b) for a, b in pairwise(samples))


def _first_not_below(file: BinaryIO, digest: bytes) -> bytes:
    """Return the first digest of the list that is not below this one; nothing after the last."""
    low, high = 0, file.seek(0, os.SEEK_END)
    while low < high:
        middle = (low + high) // 2
        line = _line_from(file, middle)
        if line and _key(line) < digest:
            low = middle + 1
        else:
            high = middle
    return _key(_line_from(file, low))


def _line_from(file: BinaryIO, offset: int) -> bytes:
    """Return the first line that begins at the offset or behind it."""
    file.seek(max(offset - 1, 0))
    if offset:
        file.readline()
    return file.readline()


def _key(line: bytes) -> bytes:
    return line[:_DIGEST_LENGTH].upper()
