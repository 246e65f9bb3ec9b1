"""`/api/v1/me/api-keys`: a person makes, sees, rotates and revokes keys of their own."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from accounts.models import ApiKey, EmailKind, OutgoingEmail, SecurityEvent, User
from accounts.services.create_api_key import MOST_KEYS, create_api_key
from tests import factories
from tests.rest import Caller

pytestmark = pytest.mark.django_db

KEYS = "/api/v1/me/api-keys"
DAY = timedelta(days=1)


@pytest.fixture
def person() -> User:
    return factories.alice()


@pytest.fixture
def own(person: User) -> Caller:
    return Caller(factories.bearer(factories.access_token_for(person)))


def body(**changes: Any) -> dict[str, Any]:
    return {
        "name": "laptop",
        "scopes": ["profile"],
        "expires_at": (timezone.now() + 30 * DAY).isoformat(),
    } | changes


def make(caller: Caller, **changes: Any) -> dict[str, Any]:
    answer = caller.post(KEYS, body(**changes))
    assert answer.status_code == 201, answer.content
    made: dict[str, Any] = answer.json()
    return made


def with_key(text: str, path: str = "/api/v1/me") -> Any:
    return Caller({"X-API-Key": text}).get(path)


def seconds_until(text: str) -> float:
    return (datetime.fromisoformat(text).astimezone(UTC) - timezone.now()).total_seconds()


def test_makes_a_key_and_shows_it_once(own: Caller) -> None:
    made = make(own, allowed_networks=["127.0.0.0/8"])

    (listed,) = own.get(KEYS).json()["results"]
    assert with_key(made["key"]).json()["username"] == "alice"
    assert listed.keys() == made.keys() - {"key"}
    assert listed["prefix"] + made["key"][20:-4] + listed["last_four"] == made["key"]
    assert listed["allowed_networks"] == ["127.0.0.0/8"]
    assert listed["scopes"] == ["profile"]


def test_tells_the_log_and_the_person(own: Caller, person: User) -> None:
    made = make(own)

    event = SecurityEvent.objects.get(code="api_key_created")
    mail = OutgoingEmail.objects.get(kind=EmailKind.API_KEY_CREATED)
    assert (event.user, event.data["api_key"]) == (person, made["id"])
    assert (mail.user, mail.data["name"]) == (person, "laptop")
    assert made["key"] not in f"{event.data}{mail.data}"


def test_lets_nobody_keep_the_answer(own: Caller) -> None:
    answer = own.post(KEYS, body())

    assert "no-store" in answer.headers["Cache-Control"]


def test_notes_its_use(own: Caller) -> None:
    made = make(own)
    assert made["last_used_at"] is None

    with_key(made["key"])

    assert own.get(KEYS).json()["results"][0]["last_used_at"]


def test_revokes_a_key_at_once_and_once(own: Caller) -> None:
    made = make(own)
    path = f"{KEYS}/{made['id']}"

    answers = [own.client.delete(path, headers=own.headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 204]
    assert with_key(made["key"]).status_code == 401
    assert own.get(KEYS).json()["results"] == []
    assert SecurityEvent.objects.filter(code="api_key_revoked").count() == 1


def test_rotates_a_key(own: Caller) -> None:
    old = make(own, allowed_networks=["127.0.0.1"], scopes=["profile", "account"])

    answer = own.post(f"{KEYS}/{old['id']}/rotate", {"overlap": 3600})

    new = answer.json()
    assert answer.status_code == 201
    same = ("name", "scopes", "allowed_networks")
    assert [new[name] for name in same] == [old[name] for name in same]
    assert [with_key(each["key"]).status_code for each in (old, new)] == [200, 200]
    listed = {each["id"]: each for each in own.get(KEYS).json()["results"]}
    assert listed[old["id"]]["replaced_by"] == new["id"]
    assert 3590 < seconds_until(listed[old["id"]]["expires_at"]) <= 3600
    assert seconds_until(new["expires_at"]) == pytest.approx(30 * 86_400, abs=60)


def test_rotates_without_an_overlap(own: Caller) -> None:
    old = make(own)

    new = own.post(f"{KEYS}/{old['id']}/rotate", {"overlap": 0}).json()

    assert with_key(old["key"]).status_code == 401
    assert with_key(new["key"]).status_code == 200


def test_rotates_a_key_once(own: Caller) -> None:
    path = f"{KEYS}/{make(own)['id']}/rotate"
    assert own.post(path).status_code == 201

    answer = own.post(path)

    assert (answer.status_code, answer.json()["code"]) == (409, "api_key_not_rotatable")


@pytest.mark.parametrize("overlap", [-1, 30 * 86_400 + 1, "soon", 1.5, None])
def test_refuses_other_overlaps(own: Caller, overlap: Any) -> None:
    path = f"{KEYS}/{make(own)['id']}/rotate"

    assert own.post(path, {"overlap": overlap}).status_code == 400


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": " "}, "/name"),
        ({"name": "a" * 101}, "/name"),
        ({"name": "two\nlines"}, "/name"),
        ({"name": 7}, "/name"),
        ({"scopes": []}, "/scopes"),
        ({"scopes": "profile"}, "/scopes"),
        ({"scopes": ["admin"]}, "/scopes"),
        ({"scopes": ["introspect"]}, "/scopes"),
        ({"scopes": ["trigger_continuous_savings"]}, "/scopes"),
        ({"expires_at": None}, "/expires_at"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
        ({"expires_at": "2999-01-01T00:00:00Z"}, "/expires_at"),
        ({"expires_at": "soon"}, "/expires_at"),
        ({"allowed_networks": ["10.0.0.1/8"]}, "/allowed_networks/0"),
        ({"allowed_networks": ["10.0.0.0/8", "example.org"]}, "/allowed_networks/1"),
        ({"allowed_networks": ["10.0.0.0/8"] * 21}, "/allowed_networks"),
    ],
)
def test_names_what_is_wrong(own: Caller, changes: dict[str, Any], pointer: str) -> None:
    answer = own.post(KEYS, body(**changes))

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert not ApiKey.objects.exists()


def test_lets_a_key_live_as_long_as_the_policy_says(own: Caller) -> None:
    longest = timezone.now() + settings.API_KEY_MAX_AGE

    ok, late = (own.post(KEYS, body(expires_at=(longest + n).isoformat())) for n in (-DAY, DAY))

    assert (ok.status_code, late.status_code) == (201, 400)
    assert late.json()["errors"][0]["code"] == "too_late"


def test_opens_no_more_than_the_token_it_was_asked_for_with(person: User) -> None:
    narrow = Caller(factories.bearer(factories.access_token_for(person, scope="account")))

    answer = narrow.post(KEYS, body(scopes=["profile", "account"]))

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_scope")


def test_a_successor_opens_no_more_than_the_token_either(own: Caller, person: User) -> None:
    wide = make(own, scopes=["profile", "account"])
    narrow = Caller(factories.bearer(factories.access_token_for(person, scope="account")))

    answer = narrow.post(f"{KEYS}/{wide['id']}/rotate")

    assert answer.json()["code"] == "invalid_scope"
    assert ApiKey.objects.get().successor is None


def test_has_an_end_of_keys(own: Caller, person: User) -> None:
    for number in range(MOST_KEYS):
        create_api_key(
            owner=person, name=f"{number}", scopes=["profile"], expires_at=timezone.now() + DAY
        )

    answer = own.post(KEYS, body())

    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_api_keys")
    assert ApiKey.objects.count() == MOST_KEYS


def test_lists_keys_by_pages(own: Caller) -> None:
    names = [make(own, name=f"key {number}")["name"] for number in range(3)]

    page = own.get(KEYS, page_size="2").json()
    rest = own.client.get(page["next"], headers=own.headers).json()

    assert [each["name"] for each in page["results"] + rest["results"]] == names[::-1]


def test_is_limited_in_how_many_e_mails_it_sends(own: Caller, settings: Any) -> None:
    settings.RATE_LIMITS, settings.RATE_LIMIT_EXPENSIVE = True, ((2, 86_400),)

    made = [own.post(KEYS, body()).status_code for _ in range(3)]

    assert made == [201, 201, 429]
    assert own.get(KEYS).status_code == 200


class TestOthers:
    """Bob sees and touches nothing of Alice's (I10)."""

    @pytest.fixture
    def bob(self) -> Caller:
        return Caller(factories.bearer(factories.access_token_for(factories.bob())))

    def test_sees_none(self, own: Caller, bob: Caller) -> None:
        make(own)

        assert bob.get(KEYS).json()["results"] == []

    @pytest.mark.parametrize("name", ["hers", "unknown", "nonsense"])
    def test_finds_none(self, own: Caller, bob: Caller, name: str) -> None:
        made = make(own)
        key = {"hers": made["id"], "unknown": f"key_{'0' * 32}", "nonsense": "key_1"}[name]

        answers = [
            bob.client.delete(f"{KEYS}/{key}", headers=bob.headers),
            bob.post(f"{KEYS}/{key}/rotate"),
        ]

        assert {(a.status_code, a.json()["code"]) for a in answers} == {(404, "not_found")}
        assert with_key(made["key"]).status_code == 200


class TestWhoMayNot:
    """Changing keys needs a person who signed in just now, with the scope account."""

    def ask(self, headers: dict[str, str], key: str = f"key_{'0' * 32}") -> list[tuple[int, str]]:
        caller = Caller(headers)
        answers = [
            caller.post(KEYS, body()),
            caller.post(f"{KEYS}/{key}/rotate"),
            caller.client.delete(f"{KEYS}/{key}", headers=headers),
        ]
        return [(answer.status_code, answer.json()["code"]) for answer in answers]

    def test_is_nobody(self) -> None:
        assert self.ask({}) == [(401, "not_authenticated")] * 3

    @pytest.mark.parametrize("scope", ["profile", "profile trigger_continuous_savings"])
    def test_is_who_lacks_the_scope(self, person: User, scope: str) -> None:
        headers = factories.bearer(factories.access_token_for(person, scope=scope))

        assert self.ask(headers) == [(403, "insufficient_scope")] * 3

    def test_is_a_key(self, own: Caller) -> None:
        made = make(own, scopes=["profile", "account"])

        assert self.ask({"X-API-Key": made["key"]}, made["id"]) == [(403, "api_key_only_reads")] * 3
        assert ApiKey.objects.get().revoked_at is None

    def test_is_who_signed_in_long_ago(self, person: User, settings: Any) -> None:
        headers = factories.bearer(factories.access_token_for(person))
        settings.FRESH_AUTHENTICATION = timedelta(seconds=-1)

        assert self.ask(headers) == [(401, "insufficient_user_authentication")] * 3

    def test_is_a_machine(self) -> None:
        new = factories.service_client("gateway", scopes=["introspect"])

        assert {status for status, _ in self.ask(factories.basic(new.client, new.secret))} == {401}
        assert {status for status, _ in self.ask({"X-API-Key": new.secret})} == {403}
