"""Redemption at the service: one slot once, whoever asks, however often."""


import pytest

from batchtokens.models import LedgerEntry, Redemption
from tests import mandates

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


def test_reserves_a_slot(world: mandates.Savings) -> None:
    issued = mandates.issue(world)

    answer = mandates.redeem(world, issued)

    assert (answer.proceed, answer.created, answer.redemption.slot) == (True, True, "p0")
    assert Redemption.objects.get().status == "reserved"
    kinds = LedgerEntry.objects.order_by("seq").values_list("kind", flat=True)
    assert list(kinds) == ["issued", "reserved"]
