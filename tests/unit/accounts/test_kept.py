"""Documents that are fetched seldom."""

from collections.abc import Callable

import pytest

from accounts.errors import FederationRefused
from accounts.federation.kept import COOL_DOWN, Kept

TTL = 100.0


class Source:
    """Counts how often it is asked; `away` makes it fail."""

    def __init__(self) -> None:
        self.asked = 0
        self.away = False
        self.clock = 1000.0
        self.kept = Kept(self.fetch, ttl=TTL, clock=lambda: self.clock)

    def fetch(self) -> int:
        self.asked += 1
        if self.away:
            raise FederationRefused("away")
        return self.asked

    def at_least(self, number: int) -> Callable[[int], bool]:
        return lambda value: value >= number


@pytest.fixture
def source() -> Source:
    return Source()


def test_is_fetched_once(source: Source) -> None:
    assert [source.kept.get(), source.kept.get()] == [1, 1]


@pytest.mark.parametrize(("later", "value"), [(TTL - 0.1, 1), (TTL, 2)])
def test_is_outdated_after_its_time(source: Source, later: float, value: int) -> None:
    source.kept.get()
    source.clock += later

    assert source.kept.get() == value


@pytest.mark.parametrize(("later", "asked"), [(COOL_DOWN - 0.1, 1), (COOL_DOWN, 2)])
def test_is_asked_for_more_after_a_cool_down(source: Source, later: float, asked: int) -> None:
    source.kept.get()
    source.clock += later

    for _ in range(3):
        source.kept.get(source.at_least(9))

    assert source.asked == asked


def test_an_absent_source_is_left_alone_for_a_while(source: Source) -> None:
    source.away = True
    for _ in range(3):
        with pytest.raises(FederationRefused):
            source.kept.get()
    assert source.asked == 1

    source.clock += COOL_DOWN
    source.away = False
    assert source.kept.get() == 2


def test_what_is_outdated_is_not_believed_because_its_source_is_away(source: Source) -> None:
    source.kept.get()
    source.clock += TTL
    source.away = True

    for _ in range(2):
        with pytest.raises(FederationRefused):
            source.kept.get()


def test_who_waited_for_a_source_that_hangs_does_not_wait_again(source: Source) -> None:
    """Its time-out is as long as the cool-down: callers in a row must not each wait for one."""

    def hang() -> int:
        source.clock += COOL_DOWN
        raise FederationRefused("no answer")

    kept = Kept(hang, ttl=TTL, clock=lambda: source.clock)
    for _ in range(4):
        with pytest.raises(FederationRefused):
            kept.get()

    assert source.clock == 1000.0 + COOL_DOWN
