"""Reads single members of a JSON object of constraints; each refusal points at its member."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from batchtokens_verifier.errors import UNKNOWN_MEMBER, InvalidConstraints

MAX_COUNT = 1_000_000

_Word = TypeVar("_Word", bound=StrEnum)


def refuse_unknown(value: Mapping[Any, object], known: frozenset[str], pointer: str) -> None:
    """Refuse members that are not `known`: an unread constraint would not constrain.

    Their names are not repeated: what was sent in a name's place may be a secret.
    Raises InvalidConstraints that points at the object.
    """
    if not known.issuperset(value):
        raise InvalidConstraints(UNKNOWN_MEMBER, pointer=pointer)


def parse_count(value: Mapping[str, object], name: str, pointer: str) -> int | None:
    """Read a whole number from 1 to MAX_COUNT, or None where the member is absent.

    Raises InvalidConstraints.
    """
    if name not in value:
        return None
    count = value[name]
    if isinstance(count, int) and not isinstance(count, bool) and 1 <= count <= MAX_COUNT:
        return count
    raise InvalidConstraints(f"A whole number, 1 to {MAX_COUNT}.", pointer=f"{pointer}/{name}")


def parse_word(kind: type[_Word], value: Mapping[str, object], name: str, pointer: str) -> _Word:
    """Read one word of the enumeration `kind`.

    Raises InvalidConstraints.
    """
    word = value.get(name)
    if isinstance(word, str):
        try:
            return kind(word)
        except ValueError:
            pass
    words = ", ".join(member.value for member in kind)
    raise InvalidConstraints(f"One of {words}.", pointer=f"{pointer}/{name}")
