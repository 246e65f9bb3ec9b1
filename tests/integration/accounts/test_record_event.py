"""services.record_event: one event, once, or counted."""

import pytest
from django.utils import timezone

from accounts.models import RequestContext, SecurityEvent
from accounts.services.record_event import count_refusal, record_event
from tests import factories

pytestmark = pytest.mark.django_db


def test_adds_an_event() -> None:
    context = RequestContext("192.0.2.7", "phone", "request-1")

    record_event(code="tested", data={"a": 1}, context=context)

    event = SecurityEvent.objects.get()
    assert (event.address, event.user_agent) == ("192.0.2.7", "phone")
    assert event.request_id == "request-1"
    assert event.data == {"a": 1}


def test_adds_a_correlated_event_once() -> None:
    for _ in range(2):
        record_event(code="tested", correlation="only one")

    assert SecurityEvent.objects.get().count == 1


def test_counts_strangers_by_network_and_minute() -> None:
    now = timezone.now().replace(second=0)
    same = ["192.0.2.7", "192.0.2.8", "2001:db8::1", "2001:db8::2"]

    for address in same:
        count_refusal(code="tested", reason="r", context=RequestContext(address), now=now)
    count_refusal(code="tested", reason="r", now=now)

    assert sorted(SecurityEvent.objects.values_list("count", flat=True)) == [1, 2, 2]


@pytest.mark.usefixtures("one_minute")
def test_counts_each_account_for_itself() -> None:
    alice, bob = factories.alice(), factories.bob()

    for user in (alice, alice, bob):
        count_refusal(code="tested", reason="r", user=user)

    assert SecurityEvent.objects.get(user=alice).count == 2
    assert SecurityEvent.objects.get(user=bob).count == 1
