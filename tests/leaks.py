"""Searches what a running service leaves behind, rows, files, logs and answers, for its secrets."""

import base64
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from django.db import connection

SHORTEST = 8  # bytes: what is shorter turns up by chance


def leaks(secrets: Mapping[str, bytes], places: Mapping[str, bytes]) -> set[str]:
    """Name each secret that some place holds, as it is or in hex or base64, and the place."""
    return {
        f"{name} in {place}"
        for name, value in secrets.items()
        for place, content in places.items()
        if any(form in content for form in forms(value))
    }


def forms(value: bytes) -> Iterator[bytes]:
    """Yield the ways in which a dump or an encoder may write these bytes."""
    assert len(value) >= SHORTEST, "too short to be searched for"
    yield value
    yield value.hex().encode()
    yield value.hex().upper().encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        # Encoded as a part of something longer, it stands at one of three places in a group.
        for offset, unsure in enumerate((0, 2, 3)):
            encoded = encode(bytes(offset) + value)
            yield encoded[unsure : (offset + len(value)) * 8 // 6]


def database_dumps() -> dict[str, bytes]:
    """Return all that the database holds: as text, and on SQLite its files' bytes, too."""
    if connection.vendor == "postgresql":
        return {"database": _copy_tables()}
    path = Path(str(connection.settings_dict["NAME"]))
    with closing(sqlite3.connect(path)) as database:
        text = "\n".join(database.iterdump())
    return {"database": text.encode(), "database's files": read_together(path)}


def read_together(path: Path) -> bytes:
    """Return the bytes of a SQLite database, with those of its log and journal."""
    return b"".join(each.read_bytes() for each in sorted(path.parent.glob(f"{path.name}*")))


def _copy_tables() -> bytes:
    """Return every table in PostgreSQL's COPY format, which writes bytes in hex."""
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        content = b""
        for table in tables:
            with cursor.copy(f"COPY {connection.ops.quote_name(table)} TO STDOUT") as rows:
                content += b"".join(bytes(row) for row in rows)
    return content
