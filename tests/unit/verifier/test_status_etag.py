"""If-None-Match: what is asked again only where it changed, and what 304 never says."""

from datetime import timedelta

import httpx
import pytest

from batchtokens_verifier.errors import StatusUnavailable
from tests.unit.verifier.authority import Clock
from tests.unit.verifier.minting import NOW
from tests.unit.verifier.status_lists import status_token
from tests.unit.verifier.test_cache_attacks import HERE, Serving, threads_at


def fetched_after(source: Serving, seconds: int) -> httpx.Request:
    """Return the request for the list that is `seconds` old."""
    clock = Clock()
    _, lists = threads_at(source, clock)
    lists.get(HERE, now=NOW)
    clock.now += seconds
    lists.get(HERE, now=NOW + timedelta(seconds=min(seconds, 3599)))
    return source.requests[-1]


@pytest.mark.parametrize("etag", ['W/"a-1"', '"a"'])
def test_unchanged_list_is_not_sent_again(etag: str) -> None:
    source = Serving()
    source.etag = etag

    assert fetched_after(source, 300).headers["If-None-Match"] == etag


@pytest.mark.parametrize("etag", ["", "a", '"a" "b"', '"' + "a" * 300 + '"', "W/a"])
def test_what_is_no_etag_is_not_sent_back(etag: str) -> None:
    source = Serving()
    source.etag = etag

    assert "If-None-Match" not in fetched_after(source, 300).headers


def test_unchanged_says_nothing_about_a_list_that_is_over() -> None:
    source, clock = Serving(), Clock()
    source.etag = '"a"'
    _, lists = threads_at(source, clock)
    lists.get(HERE, now=NOW)
    clock.now += 3600

    with pytest.raises(StatusUnavailable):
        lists.get(HERE, now=NOW + timedelta(hours=1))
    assert "If-None-Match" not in source.requests[-1].headers


def test_list_ends_where_the_clock_went_ahead_and_a_new_one_is_had_soon() -> None:
    source, clock = Serving(), Clock()
    _, lists = threads_at(source, clock)
    lists.get(HERE, now=NOW)
    later = NOW + timedelta(hours=1)
    clock.now += 2  # far less than the pause between two fetches of a list that still serves
    source.etag = '"the list at hand says nothing any more"'
    source.list = status_token(iat=int(later.timestamp()), exp=int(later.timestamp()) + 3600)

    assert lists.get(HERE, now=later).age(later) == 0
