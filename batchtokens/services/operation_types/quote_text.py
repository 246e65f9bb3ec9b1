r"""Quote a text so that it can imitate nothing around it, and no two texts look the same.

Between its marks a text shows as it is, but for marks of quotation and backslashes (with a
backslash before them) and for what would not be seen (by its number, as in \u{a0}).
"""

from __future__ import annotations

import re
import unicodedata

# Also what merely looks like the marks that quote here, such as two apostrophes side by side.
_DOUBLE = '"“”„‟«»″‶‴‷⁗＂〃〝〞〟❝❞❠⹂🙶🙷🙸\u02ba\u02dd\u02ee\u02f5\u02f6\u05f4'
_SINGLE = "'`‘’‚‛′‵ꞌ＇\u00b4\u02b9\u02bb-\u02bd\u02c8\u02ca\u02cb\u055a\u05f3\u1fbd\u1fbf\u1ffe"
_MARKS = re.compile(rf"[{_DOUBLE}\\]|[{_SINGLE}](?=[{_SINGLE}])|(?<=[{_SINGLE}])[{_SINGLE}]")
# Spaces at an end or after a space, other blanks, and what is drawn as nothing (the visible
# categories of an operation's texts hold some: fillers, variation selectors, joiners).
_UNSEEN = re.compile(
    "^ | $|(?<= ) "
    "|[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]"
    "|[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u2d7f\u3164\ufe00-\ufe0f\uffa0\ufffc]"
    "|[\U0001107f\U00016fe4\U0001d159\U000e0100-\U000e01ef]"
)
_MOST_ACCENTS = 4  # on one letter; more would cover what stands around
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})
_ISOLATE, _END_ISOLATE = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"


# Most texts need no other look: words without marks, one space between them.
_PLAIN = re.compile(r"[0-9A-Za-z.,:;@/_+-]+(?: [0-9A-Za-z.,:;@/_+-]+)*")


def quote_text(text: str) -> str:
    """Return `text` between “ and ”; different texts give different quotations."""
    if _PLAIN.fullmatch(text):
        return f"“{text}”"
    shown = _without_heaps(_UNSEEN.sub(_number, _MARKS.sub(r"\\\g<0>", text)))
    if _has_right_to_left(shown):
        # Or what surrounds it would be drawn in another order.
        shown = f"{_ISOLATE}{shown}{_END_ISOLATE}"
    return f"“{shown}”"


def _has_right_to_left(text: str) -> bool:
    return not text.isascii() and any(
        unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in text
    )


def _without_heaps(text: str) -> str:
    """Show accents only on a letter: elsewhere they would join, or look like, a mark."""
    if text.isascii():
        return text
    shown, room = [], 0
    for character in text:
        is_mark = unicodedata.category(character).startswith("M")
        shown.append(_named(character) if is_mark and not room else character)
        room = max(0, room - 1) if is_mark else 0 if character == " " else _MOST_ACCENTS
    return "".join(shown)


def _number(match: re.Match[str]) -> str:
    return _named(match[0])


def _named(character: str) -> str:
    return f"\\u{{{ord(character):x}}}"
