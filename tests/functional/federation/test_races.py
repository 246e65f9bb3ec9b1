"""One state under 32 threads at the same instant (I13)."""

from typing import Any

import pytest

from accounts.errors import AccountsError, FederationRefused
from accounts.models import FederatedIdentity, SessionFamily, User
from accounts.services.begin_federation import Departure, begin_federation
from accounts.services.finish_federation import Return, finish_federation
from accounts.tokens.pair import TokenPair
from tests import factories
from tests.factories import bearer
from tests.federation import IDENTITIES, Browser, configure, link
from tests.identity_providers import OidcProvider
from tests.races import at_once

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.race,
    pytest.mark.slow,
]
THREADS = 32
ROUNDS = 5


def returned_with(query: dict[str, str], departure: Departure) -> Return:
    return Return(
        state=query["state"], browser=departure.browser, code=query["code"], iss=query["iss"]
    )


def test_one_of_many_comes_back(corp: OidcProvider, alice: User) -> None:
    for round_number in range(1, ROUNDS + 1):
        departure = begin_federation(provider="corp")
        query = corp.approve(departure.authorization_url)
        returned = returned_with(query, departure)

        def finish(returned: Return = returned) -> str:
            try:
                finish_federation(provider="corp", returned=returned)
            except FederationRefused as refusal:
                return refusal.reason
            return "signed in"

        outcomes = at_once(*[finish] * THREADS)

        assert outcomes.count("signed in") == 1
        assert set(outcomes) == {"signed in", "an unknown, used or outdated state"}
        assert SessionFamily.objects.count() == round_number
    assert corp.paths().count("/token") == ROUNDS


def test_one_of_many_ways_links(corp: OidcProvider) -> None:
    """One identity, sixteen people who want it at once."""
    people = [factories.user(f"person{number}") for number in range(16)]
    browsers = [Browser() for _ in people]
    tokens = [factories.access_token_for(person) for person in people]
    queries = [
        corp.approve(browser.begin_linking(token).json()["authorization_url"])
        for browser, token in zip(browsers, tokens, strict=True)
    ]

    def finish(number: int) -> Any:
        return lambda: browsers[number].finish(queries[number]).status_code

    statuses = at_once(*[finish(number) for number in range(16)])

    assert sorted(statuses) == [200] + [409] * 15
    assert FederatedIdentity.objects.count() == 1


def test_one_account_for_many_first_ways(corp: OidcProvider, settings: Any) -> None:
    corp.claims = {"email": "new@example.org", "email_verified": True}
    configure(settings, corp.entry("corp", sign_up=True))
    departures = [begin_federation(provider="corp") for _ in range(8)]

    def finish(departure: Any) -> Any:
        query = corp.approve(departure.authorization_url)
        returned = returned_with(query, departure)

        def call() -> str:
            try:
                return type(finish_federation(provider="corp", returned=returned)).__name__
            except AccountsError as error:
                return error.code

        return call

    outcomes = at_once(*[finish(departure) for departure in departures])

    assert TokenPair.__name__ in outcomes
    assert set(outcomes) <= {TokenPair.__name__, "identity_not_linked"}
    assert (User.objects.count(), FederatedIdentity.objects.count()) == (1, 1)


def test_two_last_ways_in_are_not_both_given_up(corp: OidcProvider, settings: Any) -> None:
    bob = factories.bob()
    bob.set_unusable_password()
    bob.save()
    rows = [
        link(bob, corp),
        FederatedIdentity.objects.create(user=bob, provider="b", iss="https://b/", sub="1"),
    ]
    configure(settings, corp.entry("corp"), corp.entry("b", issuer="https://b/"))
    headers = bearer(factories.access_token_for(bob))

    def unlink(row: FederatedIdentity) -> Any:
        browser = Browser()
        path = f"{IDENTITIES}/{row.public_id}"
        return lambda: browser.client.delete(path, headers=headers).status_code

    assert sorted(at_once(*[unlink(row) for row in rows])) == [204, 409]
    assert FederatedIdentity.objects.count() == 1
