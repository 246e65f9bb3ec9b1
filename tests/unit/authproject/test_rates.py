"""Volume limits as the environment writes them."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from accounts.limits import Window
from authproject.env import Environment
from authproject.rates import parse_rates


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("10/m", ((10, 60),)),
        ("200/d,50/h", ((200, 86_400), (50, 3_600))),
        ("200/d , 50/h", ((200, 86_400), (50, 3_600))),
        ("3/s", ((3, 1),)),
        ("6/10m", ((6, 600),)),
    ],
)
def test_reads_tries_and_windows(text: str, rates: object) -> None:
    assert parse_rates("RATE_LIMIT_SIGN_IN", text) == rates


@pytest.mark.parametrize(
    "text",
    ["", "10", "10/", "/m", "10/w", "ten/m", "0/m", "10/0m", "-1/m", "10/m,", "10/m;5/h", "٣/m"],
)
def test_refuses_others_in_a_sentence(text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"RATE_LIMIT_SIGN_IN must be like 200/d,50/h"):
        parse_rates("RATE_LIMIT_SIGN_IN", text)


def test_refuses_two_limits_of_one_window() -> None:
    with pytest.raises(ImproperlyConfigured, match="two limits"):
        parse_rates("RATE_LIMIT_SIGN_IN", "10/m,20/60s")


def test_has_the_documented_defaults() -> None:
    env = Environment({})

    assert env.rates("RATE_LIMIT_ANONYMOUS") == ((200, 86_400), (50, 3_600))
    assert env.rates("RATE_LIMIT_SIGN_IN") == ((10, 60),)
    assert env.rates("RATE_LIMIT_EXPENSIVE") == ((5, 60),)
    assert env.rates("RATE_LIMIT_REFRESH") == ((120, 60),)


@pytest.mark.parametrize(
    ("seconds", "span"), [(1, "s"), (60, "m"), (300, "5m"), (3600, "h"), (86_400, "d"), (90, "90s")]
)
def test_windows_are_shown_as_they_are_written(seconds: int, span: str) -> None:
    assert str(Window(5, seconds)) == f"5/{span}"


@pytest.mark.parametrize(("tries", "stricter"), [(10, 5), (5, 2), (1, 1)])
def test_half_of_a_limit_is_at_least_one_try(tries: int, stricter: int) -> None:
    assert Window(tries, 60).stricter == Window(stricter, 60)
