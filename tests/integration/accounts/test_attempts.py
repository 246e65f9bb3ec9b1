"""Guessing: what stops it, and that it neither keeps owners out nor tells which names there are."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.errors import InvalidCredentials, InvalidOtp, WaitForAttempt
from accounts.models import (
    Authenticator,
    AuthenticatorKind,
    OutgoingEmail,
    RequestContext,
    SecurityEvent,
    SessionFamily,
    User,
)
from accounts.services.check_password import check_password
from accounts.services.claim_attempt import claim_attempt, wait_after
from accounts.services.verify_second_factor import verify_second_factor
from tests import factories

pytestmark = pytest.mark.django_db
HOME = "198.51.100.7"
START = datetime(2027, 1, 15, 8, tzinfo=UTC)


@dataclass
class Guesser:
    """Guesses at one thing, and waits as long as it is told to, in a time of its own."""

    guess: Callable[[RequestContext, datetime], object]
    addresses: Iterator[str]
    now: datetime = START

    def try_once(self) -> str:
        """Return what the guess was answered."""
        context = RequestContext(next(self.addresses))
        try:
            self.guess(context, self.now)
        except (InvalidCredentials, InvalidOtp) as refusal:
            return refusal.code
        except WaitForAttempt as refusal:
            return f"wait {refusal.retry_after}"
        return "in"

    def fail(self, times: int) -> None:
        """Be judged so often."""
        for _ in range(times):
            while (answer := self.try_once()).startswith("wait"):
                self.now += timedelta(seconds=int(answer.split()[1]))
            assert answer != "in"


def addresses(count: int) -> Iterator[str]:
    return cycle([f"10.9.{number // 250}.{number % 250 + 1}" for number in range(count)])


def password_guesser(name: str = "alice", count: int = 500) -> Guesser:
    def guess(context: RequestContext, now: datetime) -> object:
        return check_password(username=name, password="wrong guess", context=context, now=now)

    return Guesser(guess, addresses(count))


def code_guesser(person: User, count: int = 500) -> Guesser:
    def guess(context: RequestContext, now: datetime) -> object:
        return verify_second_factor(user=person, code="000000", context=context, now=now)

    return Guesser(guess, addresses(count))


def is_let_in(name: str = "alice", address: str = HOME, now: datetime = START) -> bool:
    context = RequestContext(address)
    try:
        check_password(username=name, password=factories.PASSWORD, context=context, now=now)
    except InvalidCredentials:
        return False
    return True


@pytest.fixture
def alice() -> User:
    return factories.alice()


@pytest.fixture(params=["limits on", "limits off"])
def limits(request: pytest.FixtureRequest, settings: Any) -> None:
    settings.RATE_LIMITS = request.param == "limits on"


@pytest.fixture
def limits_on(settings: Any) -> None:
    settings.RATE_LIMITS = True


@pytest.mark.parametrize("count", [1, 500])
@pytest.mark.usefixtures("limits")
def test_the_hundredth_wrong_password_disables_it(alice: User, count: int) -> None:
    guesser = password_guesser(count=count)
    guesser.fail(99)
    counter = Authenticator.objects.get(user=alice)
    assert (counter.failures, counter.is_disabled) == (99, False)

    guesser.fail(1)

    assert not is_let_in(now=guesser.now + timedelta(days=1))
    assert SecurityEvent.objects.filter(code="authenticator_disabled", user=alice).count() == 1
    assert [mail.kind for mail in OutgoingEmail.objects.all()] == ["authenticator_disabled"]


@pytest.mark.parametrize("count", [1, 500])
@pytest.mark.usefixtures("limits")
def test_the_hundredth_wrong_code_disables_it(alice: User, count: int) -> None:
    _, code = factories.totp_device(alice)
    guesser = code_guesser(alice, count)

    guesser.fail(100)

    with pytest.raises(InvalidOtp):
        verify_second_factor(user=alice, code=code(), now=guesser.now + timedelta(days=1))
    assert is_let_in(now=guesser.now)  # the password is another authenticator


@pytest.mark.usefixtures("limits")
def test_a_right_password_after_99_wrong_ones_starts_anew(alice: User) -> None:
    guesser = password_guesser()
    guesser.fail(99)

    assert is_let_in(now=guesser.now + timedelta(minutes=15))

    assert Authenticator.objects.get(user=alice).failures == 0


def test_a_disabled_password_costs_a_hash(alice: User, hashes: list[str]) -> None:
    Authenticator.objects.create(user=alice, kind=AuthenticatorKind.PASSWORD, failures=100)

    assert not is_let_in()

    assert len(hashes) == 1


def test_a_guess_is_counted_before_it_costs_a_hash(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def hash_now(person: User, _password: str) -> bool:
        seen.append(Authenticator.objects.get(user=person).failures)
        return False

    monkeypatch.setattr(User, "check_password", hash_now)

    password_guesser().fail(1)

    assert seen == [1]


def test_nobody_else_s_success_forgives(alice: User) -> None:
    factories.bob()
    password_guesser().fail(7)

    assert is_let_in("bob")

    assert Authenticator.objects.get(user=alice).failures == 7


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 0), (9, 0), (10, 1), (11, 2), (19, 512), (20, 900), (99, 900), (100, 900)],
)
def test_the_wait_doubles_up_to_a_quarter_of_an_hour(failures: int, seconds: int) -> None:
    assert wait_after(failures) == timedelta(seconds=seconds)


@pytest.mark.usefixtures("limits_on")
def test_strangers_wait(alice: User) -> None:
    guesser = password_guesser()
    guesser.fail(15)

    answers = [guesser.try_once() for _ in range(2)]

    assert answers == ["wait 32", "wait 32"]  # a guess that was not judged makes it no longer
    with pytest.raises(WaitForAttempt):
        is_let_in(now=guesser.now)


@pytest.mark.usefixtures("limits_on")
def test_the_first_ones_need_not_agree_on_the_time(alice: User) -> None:
    guesser = password_guesser()
    guesser.fail(1)
    guesser.now -= timedelta(seconds=1)

    guesser.fail(1)

    assert guesser.now == START - timedelta(seconds=1)


@pytest.mark.usefixtures("limits_on")
def test_the_owner_does_not_wait_where_they_have_been(alice: User) -> None:
    factories.session_family(alice)
    SessionFamily.objects.update(address=HOME, created_at=START - timedelta(days=89))
    guesser = password_guesser()
    guesser.fail(15)

    assert is_let_in(address=HOME, now=guesser.now)


@pytest.mark.usefixtures("limits_on")
@pytest.mark.parametrize(
    ("address", "waits"), [("2001:db8::2", False), ("2001:db8:0:1::1", True), ("", True)]
)
def test_a_customers_ipv6_addresses_are_one_place(alice: User, address: str, waits: bool) -> None:
    factories.session_family(alice)
    SessionFamily.objects.update(address="2001:db8::1", created_at=START)
    password_guesser().fail(15)

    if waits:
        with pytest.raises(WaitForAttempt):
            is_let_in(address=address)
    else:
        assert is_let_in(address=address)


@pytest.mark.usefixtures("limits_on")
@pytest.mark.parametrize("whose", ["bob", "alice long ago"])
def test_who_has_not_been_there_lately_waits(alice: User, whose: str) -> None:
    factories.session_family(factories.bob() if whose == "bob" else alice)
    days = 1 if whose == "bob" else 91
    SessionFamily.objects.update(address=HOME, created_at=START - timedelta(days=days))
    password_guesser().fail(15)

    with pytest.raises(WaitForAttempt):
        is_let_in(address=HOME)


@pytest.mark.usefixtures("limits")
def test_a_name_that_nobody_has_is_answered_alike(alice: User) -> None:
    """Past the wait, past the hundredth failure, at every step the same words."""
    alike, nobody = password_guesser("alice"), password_guesser("nobody")

    for _ in range(130):
        answers = {alike.try_once(), nobody.try_once()}
        assert len(answers) == 1
        pause = timedelta(seconds=450)
        alike.now, nobody.now = alike.now + pause, nobody.now + pause


@pytest.mark.usefixtures("limits_on")
def test_a_name_that_nobody_has_is_counted_however_it_is_written() -> None:
    for name in ("nobody", "NOBODY", "ｎｏｂｏｄｙ"):
        password_guesser(name).fail(1)

    counter = Authenticator.objects.get()
    assert (counter.user, counter.failures) == (None, 3)
    assert "nobody" not in str(Authenticator.objects.values())


@pytest.mark.usefixtures("limits_on")
@pytest.mark.parametrize("failures", [0, 5, 12, 100])
def test_a_name_that_nobody_has_costs_the_same_statements(alice: User, failures: int) -> None:
    def statements(name: str) -> list[str]:
        guesser = password_guesser(name)
        guesser.fail(failures)
        guesser.try_once()  # the log begins a row for each reason and minute
        with CaptureQueriesContext(connection) as captured:
            guesser.try_once()
        return [query["sql"].split()[0] for query in captured]

    assert statements("alice") == statements("nobody")


def test_counters_of_nobody_are_forgotten_in_the_end(alice: User) -> None:
    password_guesser("alice").fail(1)
    password_guesser("nobody").fail(1)
    rows = Authenticator.objects

    assert not rows.of_nobody(START).exists()
    assert rows.of_nobody(START + timedelta(seconds=1)).get().user is None


def test_a_claim_of_a_disabled_one_is_refused(alice: User) -> None:
    kind = AuthenticatorKind.SECOND_FACTOR
    Authenticator.objects.create(user=alice, kind=kind, failures=99)

    assert [claim_attempt(user=alice, kind=kind) for _ in range(2)] == [True, False]
