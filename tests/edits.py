"""Edits of an operation, one at one place each, as a thief or a careless queue would make them."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from copy import deepcopy
from random import Random
from typing import Any

LOOKALIKES = {"a": "а", "e": "е", "o": "о", "s": "ѕ", "c": "с", "-": "‐", " ": "\u00a0"}
INVISIBLE = ["\u200b", "\u200e", "\u202e", "\ufeff", "\u00ad", "\x00", "\x1f", "\u2028"]
SPACES = [" ", "\t", "\n", "\u00a0", "\u3000"]
OTHER_TYPES: list[Any] = [None, 0, 1, -1, 50, 50.0, True, False, "", [], {}, [[]], {"a": "b"}]


def text_edits(text: str, random: Random) -> list[Any]:
    """Return what stands in the place of a string."""
    at = random.randrange(len(text) + 1)
    changed: list[Any] = [
        *(_respelled(text, random) for _ in range(60)),
        text[:at] + text[at + 1 :],
        text[:at] + random.choice(SPACES) + text[at:],
        text[:at] + random.choice(INVISIBLE) + text[at:],
        text[:at] + "\u0301" + text[at:],
        text + random.choice(SPACES),
        random.choice(SPACES) + text,
        text[::-1],
        text + text,
        text.swapcase(),
        text.upper(),
        text.title(),
        f"{text}0",
        f"0{text}",
        f"-{text}",
        f"+{text}",
        f"{text}.0",
        text.removesuffix("0"),
        text.replace(".", ","),
        unicodedata.normalize("NFD", text),
        unicodedata.normalize("NFKC", text),
        "".join(LOOKALIKES.get(each, each) for each in text),
        "".join(chr(ord(each) + 0xFEE0) if "!" <= each <= "~" else each for each in text),
        json.dumps(text),
        text.encode().hex(),
        [text],
        {"value": text},
        {text or "a": text},
    ]
    if text.replace(".", "", 1).isdigit():
        changed += [float(text), int(float(text)), f"{float(text):e}", str(int(float(text)))]
    return changed


def _respelled(text: str, random: Random) -> str:
    """Put one character in, or in the place of another."""
    at, character = random.randrange(len(text) + 1), chr(random.randrange(0x20, 0x250))
    return text[:at] + character + text[at + random.randrange(2) :]


def member_edits(members: dict[str, Any], random: Random) -> Iterator[dict[str, Any]]:
    """Yield objects with a member more, a member less, or one under another name."""
    name = random.choice(list(members))
    rest = {each: value for each, value in members.items() if each != name}
    yield rest
    for other in (name.upper(), name.title(), f"{name} ", f" {name}", f"{name}_", name[:-1], "x"):
        yield {**rest, other: members[name]}
        yield {**members, other: members[name]}
    for name in ("x", "amount", "currency", "action", "", "__proto__", "$ref", "réf"):
        yield {**members, name: random.choice(["x", "0.01", True, False, [], {}, None, 1])}
    names, values = list(members), list(members.values())
    random.shuffle(values)
    yield dict(zip(names, values, strict=True))
    yield {"operation": members}


def list_edits(items: list[Any], random: Random) -> Iterator[Any]:
    """Yield arrays in another order, with more or less in them, or deeper."""
    at = random.randrange(len(items))
    shuffled = list(items)
    random.shuffle(shuffled)
    yield shuffled
    yield items[::-1]
    yield [*items[:at], *items[at + 1 :]]
    yield [*items[: at + 1], *items[at:]]
    yield [*items, random.choice(["x", True, [], {}, None, 1])]
    yield [items]
    yield {str(index): item for index, item in enumerate(items)}


def value_edits(value: Any, random: Random) -> list[Any]:
    """Return what stands in the place of a value."""
    if isinstance(value, str):
        edited = text_edits(value, random)
    elif isinstance(value, bool):
        edited = [not value, str(value), str(value).lower(), int(value), [value]]
    elif isinstance(value, list):
        edited = list(list_edits(value, random))
    else:
        edited = list(member_edits(value, random))
    return [*edited, random.choice(OTHER_TYPES)]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the paths of an operation and of all that it holds."""
    yield path
    children = value.items() if isinstance(value, dict) else ()
    for name, child in enumerate(value) if isinstance(value, list) else children:
        yield from places(child, (*path, name))


def replaced(operation: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    edited = deepcopy(operation)
    holder = edited
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    return edited


def at(operation: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        operation = operation[step]
    return operation


def spelled(value: Any) -> str:
    """Write JSON so that two values look the same only if they are; members have no order."""
    return json.dumps(value, sort_keys=True)


def edits(operation: dict[str, Any], *, seed: int) -> Iterator[Any]:
    """Yield, without end, different operations that differ from this one at one place."""
    random = Random(seed)
    seen = {spelled(operation)}
    while True:
        for path in places(operation):
            for value in value_edits(at(operation, path), random):
                edited = replaced(operation, path, value)
                if (text := spelled(edited)) not in seen:
                    seen.add(text)
                    yield edited
