"""Row ids (UUIDv7, RFC 9562 section 5.7) and the typed text that the outside sees."""

import re
import uuid

from uuid_utils import compat

from accounts.errors import UnknownId

_HEX = re.compile(r"[0-9a-f]{32}")


def new_id() -> uuid.UUID:
    """Make a UUIDv7: ordered by time, so indexes grow at one end."""
    return compat.uuid7()


def public_id(prefix: str, identifier: uuid.UUID) -> str:
    """Write an id as the outside sees it: `usr_` and 32 lower-case hex digits."""
    return f"{prefix}_{identifier.hex}"


def parse_public_id(text: str, prefix: str) -> uuid.UUID:
    """Read a public id back.

    Raises UnknownId for every other spelling, so that one row has one name.
    """
    head, _, digits = text.partition("_")
    if head != prefix or not _HEX.fullmatch(digits):
        raise UnknownId
    return uuid.UUID(hex=digits)
