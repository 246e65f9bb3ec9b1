"""Canonical JSON (RFC 8785), its digests, strict parsing, and the closed form of an operation.

What is not in canonical form is refused, never repaired: two readers must never see two operations.
"""

import base64
import binascii
import hashlib
import json
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from functools import reduce
from itertools import takewhile
from typing import Any, NoReturn, TypeAlias

from batchtokens_verifier.constraints.money import Amount
from batchtokens_verifier.errors import InvalidOperation, member_pointer

JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | bool"
_Path: TypeAlias = "tuple[str | int, ...]"

MAX_OPERATION_BYTES = 4096
MAX_OPERATION_DEPTH = 5  # the operation itself is the first level
MAX_JSON_DEPTH = 32
# RFC 7493 §2.2: integers that every JSON implementation keeps.
MAX_SAFE_INTEGER = 2**53 - 1

_ALWAYS_KNOWN = frozenset({"action", "amount"})
_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(data: bytes | str, *, max_bytes: int = 65536) -> Any:
    """Parse JSON strictly (RFC 7493): no duplicate members, NaN, lone surrogates or deep nesting.

    Raises InvalidOperation.
    """
    if len(data) > max_bytes:
        raise InvalidOperation("The JSON is too long.")
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        value = _read(text)
    except (ValueError, RecursionError):
        raise InvalidOperation("This is not valid JSON.") from None
    if text.count("[") + text.count("{") > MAX_JSON_DEPTH:
        _check_depth(value)
    if _ESCAPED_SURROGATE.search(text):
        _check_unicode(value)
    return value


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidOperation("A member is there twice.")
    return members


def _refuse_number(literal: str) -> NoReturn:
    raise InvalidOperation(f"{literal} is not JSON.")


def _finite(literal: str) -> float:
    number = float(literal)
    if number in (float("inf"), float("-inf")):
        raise InvalidOperation("A number is too large.")
    return number


_read = json.JSONDecoder(
    object_pairs_hook=_unique_members, parse_constant=_refuse_number, parse_float=_finite
).decode


def _check_depth(value: object) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_JSON_DEPTH:
            raise InvalidOperation("The JSON is nested too deeply.")
        level = [child for item in level for child in _children(item)]


def _children(value: object) -> list[Any]:
    if isinstance(value, dict):
        members = value.values()
        return [child for child in members if isinstance(child, dict | list)]
    if isinstance(value, list):
        return [child for child in value if isinstance(child, dict | list)]
    return []


def _check_unicode(value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidOperation("A string is not Unicode text.") from None


class _RefusedAt(InvalidOperation):
    """A refusal inside the operation; `path`: names of members and indexes of arrays."""

    def __init__(self, detail: str, path: _Path) -> None:
        super().__init__(detail)
        self.path = path


def canonical_operation(
    value: object, *, known: Collection[str] = ()
) -> tuple[dict[str, JSON], bytes]:
    """Return a copy of the operation `value` and its canonical form, or refuse it.

    Objects, arrays, strings and booleans only; ASCII names, NFC strings of visible characters,
    depth at most 5, at most 4 KiB; `action` is a string; `amount`, when there, a valid amount.
    known: names of members that may be told; a secret can be sent in a name's place, too.
    Raises InvalidOperation; its pointer goes as far towards the offending member as is known.
    """
    if not isinstance(value, Mapping):
        raise InvalidOperation("An operation is a JSON object.")
    try:
        operation = _checked_object(value, (), 1)
    except _RefusedAt as refusal:
        pointer = _known_pointer(refusal.path, _ALWAYS_KNOWN.union(known))
        raise InvalidOperation(refusal.detail, pointer=pointer) from None
    if not isinstance(operation.get("action"), str) or not operation["action"]:
        raise InvalidOperation("An operation names its action.", pointer="/action")
    if "amount" in operation:
        Amount.parse(operation["amount"], "/amount", error=InvalidOperation)
    written = _write_in_order(operation).encode()  # what was checked has one form in JSON
    if len(written) > MAX_OPERATION_BYTES:
        raise InvalidOperation(f"An operation has at most {MAX_OPERATION_BYTES} bytes.")
    return operation, written


def _known_pointer(path: _Path, known: Collection[str]) -> str:
    told = takewhile(lambda step: isinstance(step, int) or step in known, path)
    return reduce(member_pointer, told, "")


def _checked(value: object, path: _Path, depth: int) -> JSON:
    if isinstance(value, str):
        return _checked_text(value, path)
    if isinstance(value, bool):
        return value
    if isinstance(value, Mapping):
        return _checked_object(value, path, depth)
    if isinstance(value, list):
        _refuse_deeper(path, depth)
        return [_checked(item, (*path, i), depth + 1) for i, item in enumerate(value)]
    raise _RefusedAt("Only objects, arrays, strings and booleans.", path)


def _checked_object(value: Mapping[Any, object], path: _Path, depth: int) -> dict[str, JSON]:
    _refuse_deeper(path, depth)
    if not (_are_ascii(value) and all(map(str.isprintable, value))):
        raise _RefusedAt("Member names are printable ASCII.", path)
    return {name: _checked(member, (*path, name), depth + 1) for name, member in value.items()}


def _refuse_deeper(path: _Path, depth: int) -> None:
    if depth > MAX_OPERATION_DEPTH:
        raise _RefusedAt(f"Nested more than {MAX_OPERATION_DEPTH} deep.", path)


def _are_ascii(names: Iterable[Any]) -> bool:
    """Say whether all names are ASCII texts; all at once, as that takes a fifth of the time."""
    try:
        return "".join(names).isascii()
    except TypeError:  # one is no text
        return False


def _checked_text(text: str, path: _Path) -> str:
    if text.isascii() and text.isprintable():
        return text
    if any(unicodedata.category(character) in _REFUSED_CATEGORIES for character in text):
        raise _RefusedAt("Only visible characters.", path)
    if not unicodedata.is_normalized("NFC", text):
        raise _RefusedAt("Text must be in normal form C.", path)
    return text


def canonicalize(value: object) -> bytes:
    """Return `value` in the JSON Canonicalization Scheme (RFC 8785), without floats.

    Takes str, bool, None, integers within RFC 7493's range, lists, and dicts with str keys.
    Raises InvalidOperation.
    """
    try:
        text = _write_in_order(value) if _is_plain(value) else _write(_sorted(value))
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidOperation("A string is not Unicode text.") from None


_write = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
# By code points, which among ASCII names is RFC 8785's order.
_write_in_order = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode


_SCALARS = frozenset({bool, int, type(None)})


def _is_plain(value: object) -> bool:
    """Say whether the encoder itself writes this in canonical form, which is what takes no time."""
    left: list[Any] = [value]
    for each in left:
        kind = type(each)
        if kind is str:
            continue
        if kind is dict:
            left.extend(each.values())
            if not _are_ascii(each):
                return False
        elif kind is list:
            left.extend(each)
        elif kind not in _SCALARS or (kind is int and abs(each) > MAX_SAFE_INTEGER):
            return False
    return True


def _sorted(value: object) -> object:
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        if abs(value) > MAX_SAFE_INTEGER:
            raise InvalidOperation("An integer is too large.")
        return int(value)
    if isinstance(value, list | tuple):
        return [_sorted(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _sorted(value[name]) for name in _in_order(value)}
    raise InvalidOperation("This has no canonical JSON form.")


def _in_order(names: Iterable[Any]) -> list[Any]:
    listed = list(names)
    if all(isinstance(name, str) and name.isascii() for name in listed):
        return sorted(listed)  # the same order: each character is one code unit
    return sorted(listed, key=_utf16)


def _utf16(name: object) -> bytes:
    # RFC 8785 §3.2.3: members are ordered by their names' UTF-16 code units.
    if not isinstance(name, str):
        raise InvalidOperation("Member names are strings.")
    return name.encode("utf-16-be", "surrogatepass")


def digest(data: bytes) -> str:
    """Return "sha-256:" + base64url(SHA-256(data))."""
    return f"sha-256:{b64url(hashlib.sha256(data).digest())}"


def parameter_digest(operation: Mapping[str, JSON]) -> str:
    """Return the digest of the operation's canonical form."""
    return digest(canonicalize(operation))


def mandate_digest(*, sub: str, client_id: str, aud: str, detail: Mapping[str, Any]) -> str:
    """Return the digest of all that one consent is about: whose, through whom, where, what.

    detail: the authorization_details element; what it is given when it is issued does not count.
    """
    granted = {name: v for name, v in detail.items() if name not in ("identifier", "redemption")}
    parties = {"sub": sub, "client_id": client_id, "aud": aud}
    return digest(canonicalize({**parties, "authorization_details": [granted]}))


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def b64url(data: bytes) -> str:
    """Encode as base64url without padding (RFC 7515 §2)."""
    return binascii.b2a_base64(data, newline=False).translate(_URL_SAFE, b"=").decode("ascii")


def b64url_decode(text: str) -> bytes:
    """Decode base64url without padding; only the one canonical spelling is accepted.

    Raises ValueError, without the text.
    """
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise ValueError("not base64url") from None
    if b64url(data) != text:  # the decoder skips what is not of the alphabet
        raise ValueError("not canonical base64url")
    return data
