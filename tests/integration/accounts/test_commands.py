"""Commands of accounts: what they print, what they change, how they end."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.management.base import Exit
from accounts.models import ApiKey, SecurityEvent, ServiceClient, SessionFamily, SigningKey, User
from accounts.services.authenticate_client import authenticate_client
from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens_verifier.jws import Purpose
from tests import factories

pytestmark = pytest.mark.django_db
Run = Callable[..., Any]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command and read the JSON that it prints."""

    def call(*words: str) -> Any:
        capsys.readouterr()
        call_command(*words)
        return json.loads(capsys.readouterr().out)

    return call


def exit_code(*words: str) -> int:
    with pytest.raises(CommandError) as refusal:
        call_command(*words)
    assert str(refusal.value).endswith((".", "…"))
    return refusal.value.returncode


class TestSeedUsers:
    def test_makes_the_same_people_once(self, run: Run) -> None:
        assert run("seed_users", "--count=5")["made"] == 5
        assert run("seed_users", "--count=7")["made"] == 2
        assert User.objects.count() == 7

    def test_makes_others_with_another_seed(self, run: Run) -> None:
        run("seed_users", "--count=5")

        assert run("seed_users", "--count=5", "--seed=2")["made"] == 5

    def test_makes_some_staff(self, run: Run) -> None:
        run("seed_users", "--count=5", "--staff=2")

        assert User.objects.filter(is_staff=True).count() == 2

    def test_hashes_once_a_batch(self, run: Run, tmp_path: Path) -> None:
        file = tmp_path / "password"
        file.write_text(f"{factories.PASSWORD}\n")

        run("seed_users", "--count=6", "--batch=3", f"--password-file={file}")

        assert len(set(User.objects.values_list("password", flat=True))) == 2
        assert all(user.check_password(factories.PASSWORD) for user in User.objects.all())

    def test_lets_nobody_in_without_a_password(self, run: Run) -> None:
        run("seed_users", "--count=1")

        assert not User.objects.get().has_usable_password()

    def test_has_no_johndoe_elsewhere(self, run: Run) -> None:
        assert run("seed_users", "--count=0")["johndoe"] is False
        assert not User.objects.exists()

    def test_has_johndoe_in_development(self, run: Run, settings: Any) -> None:
        settings.ENVIRONMENT = "development"

        assert run("seed_users", "--count=0")["johndoe"] is True
        assert run("seed_users", "--count=0")["johndoe"] is False
        assert User.objects.get().check_password("secret")

    def test_needs_a_file_that_is_there(self) -> None:
        assert exit_code("seed_users", "--password-file=/nowhere") == Exit.USAGE


class TestCreateServiceClient:
    def test_shows_the_secrets_once(self, run: Run) -> None:
        row = run(
            "create_service_client", "savings", "--audience=https://savings.example/",
            "--delivery-url=https://savings.example/due", "--scope", "redeem", "introspect",
        )  # fmt: skip

        client = authenticate_client(client_id=row["client_id"], client_secret=row["client_secret"])
        assert client.granted_scopes == {"redeem", "introspect"}
        assert client.audience == "https://savings.example/"
        assert client.delivery_secret() == row["delivery_secret"]
        assert row["delivery_secret"].startswith("whsec_")

    @pytest.mark.parametrize("words", [["gateway"], ["other", "--audience=https://taken.example/"]])
    def test_refuses_what_another_has(self, words: list[str]) -> None:
        factories.service_client("gateway", audience="https://taken.example/")

        assert exit_code("create_service_client", *words) == Exit.REFUSED
        assert ServiceClient.objects.count() == 1

    @pytest.mark.parametrize(
        "words",
        [
            ["first-party"],
            ["bad name"],
            ["a:b"],
            ["usr_00000000000000000000000000000000"],
            ["other", "--quiet"],
            ["other", "--audience=nonsense"],
            ["other", f"--audience=https://other.example/{'a' * 500}"],
            ["other", "--audience=http://127.0.0.1:8000"],
            ["other", "--delivery-url=ftp://other.example"],
        ],
    )
    def test_refuses_what_cannot_be(self, words: list[str]) -> None:
        assert exit_code("create_service_client", *words) == Exit.USAGE
        assert not ServiceClient.objects.exists()


class TestKeys:
    def test_lists_keys_with_their_states(self, run: Run) -> None:
        ensure_signing_keys()
        run("rotate_keys", "--now", "--purpose=access")
        run("rotate_keys", "--overlap=360", "--purpose=access")

        rows = run("list_keys")

        states = [row["state"] for row in rows if row["purpose"] == "access"]
        assert states == ["retired", "active", "upcoming"]

    def test_lists_a_key_of_a_purpose_that_it_does_not_know(self, run: Run) -> None:
        ensure_signing_keys()
        SigningKey.objects.filter(purpose=Purpose.ACCESS).update(purpose="pairwise")

        assert [row["state"] for row in run("list_keys")].count("unknown") == 1

    def test_lists_nothing(self, run: Run) -> None:
        assert run("list_keys") == []

    def test_rotates_all_purposes(self, run: Run) -> None:
        assert len(run("rotate_keys", "--now")) == len(Purpose)

    def test_rotates_a_purpose_once(self, run: Run) -> None:
        assert len(run("rotate_keys", "--now", "--purpose", "access", "access")) == 1

    @pytest.mark.parametrize("overlap", ["-1", "0", "359", "31622401", "1" * 30])
    def test_refuses_an_overlap_that_somebody_could_miss(self, overlap: str) -> None:
        assert exit_code("rotate_keys", f"--overlap={overlap}") == Exit.USAGE
        assert not SigningKey.objects.exists()

    def test_takes_the_shortest_overlap(self, run: Run) -> None:
        assert len(run("rotate_keys", "--overlap=360")) == len(Purpose)

    def test_takes_one_word_for_when_the_new_keys_are_to_sign(self) -> None:
        with pytest.raises(CommandError):
            call_command("rotate_keys", "--now", "--overlap=400")

    @pytest.mark.parametrize(("ahead", "published"), [(86400, 86400), (10, 360)])
    def test_publishes_a_day_ahead_and_never_so_that_somebody_could_miss_it(
        self, run: Run, settings: Any, ahead: int, published: int
    ) -> None:
        settings.KEY_PUBLISH_AHEAD = timedelta(seconds=ahead)
        before = timezone.now()

        run("rotate_keys", "--purpose=access")

        until_it_signs = SigningKey.objects.get().activates_at - before
        assert published <= until_it_signs.total_seconds() < published + 60

    def test_tells_until_when_a_key_is_published(self, run: Run) -> None:
        ensure_signing_keys()
        run("rotate_keys", "--now", "--purpose", "access", "receipt")
        until = {(row["purpose"], row["state"]): row["published_until"] for row in run("list_keys")}

        assert until["receipt", "retired"] == "for ever"
        assert until["access", "active"] is None
        assert until["access", "retired"] > timezone.now().isoformat()

    def test_never_publishes_more_keys_than_verifiers_take(self, run: Run) -> None:
        for _ in range(14):
            run("rotate_keys", "--now")

        assert exit_code("rotate_keys", "--now") == Exit.REFUSED
        assert SigningKey.objects.count() == 98


class TestRevokeTokens:
    @pytest.fixture(autouse=True)
    def places(self) -> None:
        """Two places of Alice, an old one of Bob at an address, and a service client."""
        alice = factories.alice()
        factories.session_family(alice)
        factories.session_family(alice)
        bobs, _ = factories.session_family(factories.bob())
        long_ago = timezone.now() - timedelta(days=60)
        SessionFamily.objects.filter(pk=bobs.pk).update(
            created_at=long_ago, last_used_at=long_ago, address="192.0.2.7"
        )
        factories.service_client()

    @pytest.mark.parametrize(
        ("words", "revoked"),
        [
            (["--all"], 3),
            (["--user=ALICE"], 2),
            (["--user=alice", "--type=refresh"], 2),
            (["--older-than=30d"], 1),
            (["--inactive-for=12h"], 1),
            (["--ip=192.0.2.7"], 1),
        ],
    )
    def test_ends_what_was_selected(self, run: Run, words: list[str], revoked: int) -> None:
        row = run("revoke_tokens", *words, "--yes", "--reason=drill")

        assert row["revoked"] == revoked
        assert SessionFamily.objects.not_ended().count() == 3 - revoked
        events = SecurityEvent.objects.filter(code="session_ended")
        assert [event.data["why"] for event in events] == ["drill"] * revoked

    def test_ends_one_family(self, run: Run) -> None:
        family = SessionFamily.objects.filter(user__username="bob").get()

        run("revoke_tokens", f"--family={family.public_id}", "--yes")

        assert family not in SessionFamily.objects.not_ended()

    def test_finds_a_person_by_id(self, run: Run) -> None:
        bob = User.objects.get(username="bob")

        assert run("revoke_tokens", f"--user={bob.public_id}", "--yes")["revoked"] == 1

    def test_revokes_api_keys(self, run: Run) -> None:
        assert run("revoke_tokens", "--all", "--type=api-key", "--yes")["revoked"] == 1
        assert ApiKey.objects.get().revoked_at

    def test_changes_nothing_when_dry(self, run: Run) -> None:
        assert run("revoke_tokens", "--all", "--dry-run") == {
            "id": "session",
            "found": 3,
            "revoked": 0,
        }
        assert SessionFamily.objects.not_ended().count() == 3

    @pytest.mark.parametrize(
        ("words", "code"),
        [
            (["--all"], Exit.USAGE),
            (["--yes"], Exit.USAGE),
            (["--all", "--type=api-key", "--ip=192.0.2.7"], Exit.USAGE),
            (["--type=api-key", "--user=alice", "--yes"], Exit.NOTHING_MATCHED),
            (["--family=ses_1", "--yes"], Exit.USAGE),
            (["--user=nobody", "--yes"], Exit.NOTHING_MATCHED),
            (["--ip=192.0.2.8", "--yes"], Exit.NOTHING_MATCHED),
        ],
    )
    def test_ends_with_a_code(self, words: list[str], code: Exit) -> None:
        assert exit_code("revoke_tokens", *words) == code
        assert SessionFamily.objects.not_ended().count() == 3

    @pytest.mark.parametrize(
        "words",
        [
            ["--user=", "--ip=192.0.2.7"],
            ["--family=", "--all"],
            ["--ip=", "--all"],
            ["--older-than=", "--all"],
            ["--older-than=999999999d"],
            ["--inactive-for=999999999d"],
        ],
    )
    def test_never_widens_what_it_cannot_read(self, words: list[str]) -> None:
        with pytest.raises(CommandError, match=r"argument --.*(is empty|is not|is before)"):
            call_command("revoke_tokens", *words, "--yes")
        assert SessionFamily.objects.not_ended().count() == 3
