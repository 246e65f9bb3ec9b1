r"""Quote a text so that it can imitate nothing around it, and no two texts look the same.

Between its marks a text shows as it is, but for marks of quotation and backslashes (with a
backslash before them) and for what would not be seen (by its number, as in \u{a0}).
"""

from __future__ import annotations

import re
import unicodedata

# Also what merely looks like the marks that quote here.
_MARKS = re.compile(r'["“”„‟«»″‶＂〝〞〟❝❞❠⹂\\]')
# Spaces at an end or after a space, other blanks, and what is drawn as nothing (the visible
# categories of an operation's texts hold some: fillers, variation selectors, joiners).
_UNSEEN = re.compile(
    "^ | $|(?<= ) "
    "|[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]"
    "|[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0]"
    "|[\U000e0100-\U000e01ef]"
)
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})
_ISOLATE, _END_ISOLATE = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"


def quote_text(text: str) -> str:
    """Return `text` between “ and ”; different texts give different quotations."""
    shown = _UNSEEN.sub(_number, _MARKS.sub(r"\\\g<0>", text))
    if shown and unicodedata.category(shown[0]).startswith("M"):  # it would join the mark before it
        shown = f"\\u{{{ord(shown[0]):x}}}{shown[1:]}"
    if any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in shown):
        # Or what surrounds it would be drawn in another order.
        shown = f"{_ISOLATE}{shown}{_END_ISOLATE}"
    return f"“{shown}”"


def _number(match: re.Match[str]) -> str:
    return f"\\u{{{ord(match[0]):x}}}"
