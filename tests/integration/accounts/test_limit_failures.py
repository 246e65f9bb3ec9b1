"""limit_failures: how often one address may guess wrong, at all accounts together."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.errors import InvalidCredentials, SealBroken, WaitForAttempt
from accounts.models import RateCounter, RequestContext, SecurityEvent
from accounts.services.limit_failures import (
    FAILURES_WINDOW,
    MOST_FAILURES_OF_ADDRESS,
    claim_guess,
    count_failure,
    counted_guess,
    give_back_guess,
)
from tests.races import at_once

pytestmark = pytest.mark.django_db
HERE = RequestContext("192.0.2.7")


@pytest.fixture(autouse=True)
def limits_on(settings: Any) -> None:
    settings.RATE_LIMITS = True


def guess_wrong(context: RequestContext = HERE, now: datetime | None = None) -> None:
    with pytest.raises(InvalidCredentials), counted_guess(context=context, now=now):
        raise InvalidCredentials


def guess_wrong_too_often() -> None:
    for _ in range(MOST_FAILURES_OF_ADDRESS):
        guess_wrong()


def test_refuses_an_address_that_failed_too_often_before_anything_is_judged() -> None:
    guess_wrong_too_often()
    judged = []

    with pytest.raises(WaitForAttempt) as refusal, counted_guess(context=HERE):
        judged.append(True)

    assert not judged
    assert 3590 <= refusal.value.retry_after <= 3600
    assert SecurityEvent.objects.get(code="rate_limited").data == {"reason": "failures"}


def test_right_guesses_count_nothing() -> None:
    for _ in range(MOST_FAILURES_OF_ADDRESS + 5):
        with counted_guess(context=HERE):
            pass

    assert RateCounter.objects.get().value == 0


def test_a_right_guess_makes_room_for_no_wrong_one() -> None:
    guess_wrong()
    guess_wrong()

    with counted_guess(context=HERE):
        pass

    assert RateCounter.objects.get().value == 2


def test_gives_back_to_its_own_hour_only() -> None:
    now = timezone.now()
    late = claim_guess(context=HERE, now=now)
    guess_wrong(now=now + FAILURES_WINDOW)

    give_back_guess(late)

    assert RateCounter.objects.get().value == 1


@pytest.mark.parametrize("error", [WaitForAttempt(retry_after=5), SealBroken(), RuntimeError()])
def test_what_was_not_judged_is_given_back(error: Exception) -> None:
    with pytest.raises(type(error)), counted_guess(context=HERE):
        raise error

    assert RateCounter.objects.get().value == 0


def test_lets_the_address_try_again_after_an_hour() -> None:
    now = timezone.now()
    guess_wrong_too_often()

    guess_wrong(now=now + FAILURES_WINDOW + timedelta(seconds=5))

    assert RateCounter.objects.get().value == 1


def test_counts_a_customers_ipv6_addresses_together_and_others_apart() -> None:
    for number in range(MOST_FAILURES_OF_ADDRESS):
        guess_wrong(RequestContext(f"2001:db8::{number + 1:x}"))

    with pytest.raises(WaitForAttempt):
        claim_guess(context=RequestContext("2001:db8::ffff"))
    assert claim_guess(context=RequestContext("2001:db8:0:1::1"))


def test_counts_wrong_secrets_of_clients_with_them() -> None:
    for _ in range(MOST_FAILURES_OF_ADDRESS):
        count_failure(context=HERE)

    with pytest.raises(WaitForAttempt):
        count_failure(context=HERE)


def test_can_be_turned_off(settings: Any) -> None:
    settings.RATE_LIMITS = False

    for _ in range(MOST_FAILURES_OF_ADDRESS + 1):
        guess_wrong()

    assert not RateCounter.objects.exists()


def claims() -> bool:
    try:
        claim_guess(context=HERE)
    except WaitForAttempt:
        return False
    return True


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_lets_exactly_so_many_be_judged_at_once() -> None:
    answers = [answer for _ in range(8) for answer in at_once(*[claims] * 8)]

    assert answers.count(True) == MOST_FAILURES_OF_ADDRESS
