"""Volume limits as the environment writes them: `200/d,50/h`."""

import re

from django.core.exceptions import ImproperlyConfigured

SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_RATE = re.compile(r"([0-9]{1,9})/([0-9]{0,4})([smhd])")

Rates = tuple[tuple[int, int], ...]


def parse_rates(name: str, text: str) -> Rates:
    """Return tries and seconds of each window. Raises ImproperlyConfigured."""
    rates = tuple(_parse(name, word.strip()) for word in text.split(","))
    if len({seconds for _, seconds in rates}) != len(rates):
        raise ImproperlyConfigured(f"{name} has two limits for windows of one length.")
    return rates


def _parse(name: str, word: str) -> tuple[int, int]:
    found = _RATE.fullmatch(word)
    tries = int(found[1]) if found else 0
    seconds = int(found[2] or 1) * SECONDS[found[3]] if found else 0
    if not (tries and seconds):
        raise ImproperlyConfigured(
            f"{name} must be like 200/d,50/h: how many tries, a slash, and s, m, h or d"
            " (10m for ten minutes); no number may be 0."
        )
    return tries, seconds
