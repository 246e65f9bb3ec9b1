"""Commands about API keys and key pairs: what they show, what they change, how they end."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.errors import InvalidClient
from accounts.management.base import Exit
from accounts.models import ApiKey, SecurityEvent, ServiceClient, User
from accounts.services.authenticate_api_key import authenticate_api_key
from accounts.services.authenticate_assertion import authenticate_assertion
from accounts.services.create_api_key import create_api_key
from tests import factories
from tests.assertions import new_key, public, sign

pytestmark = pytest.mark.django_db
Run = Callable[..., Any]
DAY = timedelta(days=1)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command and read the JSON that it prints."""

    def call(*words: str) -> Any:
        capsys.readouterr()
        call_command(*words)
        return json.loads(capsys.readouterr().out)

    return call


@pytest.fixture(autouse=True)
def alice() -> User:
    return factories.alice()


@pytest.fixture(autouse=True)
def gateway() -> ServiceClient:
    return factories.service_client("gateway", scopes=["introspect", "redeem"]).client


def exit_code(*words: str) -> int:
    with pytest.raises(CommandError) as refusal:
        call_command(*words)
    return refusal.value.returncode


def key_of(owner: User | ServiceClient, name: str = "k", days: int = 30) -> ApiKey:
    terms: dict[str, Any] = {"scopes": ["profile"]} if isinstance(owner, User) else {}
    ends = timezone.now() + days * DAY
    return create_api_key(owner=owner, name=name, expires_at=ends, **terms).api_key


def opens(text: str) -> bool:
    try:
        authenticate_api_key(key=text)
    except InvalidClient:
        return False
    return True


class TestCreateApiKey:
    def test_makes_a_person_s_key(self, run: Run, alice: User) -> None:
        row = run(
            "create_api_key", "--user=ALICE", "--name=laptop", "--scope", "profile", "account",
            "--expires-in=90d", "--network", "127.0.0.1", "192.0.2.0/24",
        )  # fmt: skip

        api_key = ApiKey.objects.get(user=alice)
        assert row["key"].startswith(row["prefix"])
        assert api_key.allowed_networks == row["allowed_networks"]
        assert row["allowed_networks"] == ["127.0.0.1/32", "192.0.2.0/24"]
        assert api_key.expires_at == api_key.created_at + 90 * DAY

    def test_makes_a_client_s_key(self, run: Run) -> None:
        row = run("create_api_key", "--client=gateway", "--name=second")

        assert authenticate_api_key(key=row["key"]).scope == {"introspect", "redeem"}
        assert (row["owner"], row["expires_at"]) == ("gateway", None)

    @pytest.mark.parametrize(
        ("words", "code"),
        [
            ([], Exit.USAGE),
            (["--user=alice", "--client=gateway"], Exit.USAGE),
            (["--user=alice"], Exit.USAGE),
            (["--user=alice", "--scope=profile"], Exit.USAGE),
            (["--user=alice", "--scope=profile", "--expires-in=9999d"], Exit.USAGE),
            (["--user=alice", "--scope=profile", "--expires-in=0s"], Exit.USAGE),
            (["--user=alice", "--scope=introspect", "--expires-in=9d"], Exit.USAGE),
            (["--client=gateway", "--scope=token_exchange"], Exit.USAGE),
            (["--client=gateway", "--quiet"], Exit.USAGE),
            (["--user=nobody", "--scope=profile", "--expires-in=9d"], Exit.NOTHING_MATCHED),
            (["--client=nobody"], Exit.NOTHING_MATCHED),
        ],
    )
    def test_ends_with_a_code(self, words: list[str], code: Exit) -> None:
        before = ApiKey.objects.count()

        try:
            ended = exit_code("create_api_key", "--name=k", *words)
        finally:
            assert ApiKey.objects.count() == before

        # What argparse itself refuses becomes exit 2 where a process ends.
        assert ended in ({code, Exit.ERROR} if code == Exit.USAGE else {code})

    @pytest.mark.parametrize(
        "word", ["--network=example.org", "--expires-in=soon", "--user=", "--scope=meta"]
    )
    def test_reads_no_nonsense(self, word: str) -> None:
        with pytest.raises(CommandError, match="argument --"):
            call_command("create_api_key", "--name=k", word)


class TestListApiKeys:
    def names(self, run: Run, *words: str) -> list[str]:
        return [row["name"] for row in run("list_api_keys", *words)]

    def test_lists_by_owner(self, run: Run, alice: User) -> None:
        key_of(alice, "hers")

        assert self.names(run) == ["first", "hers"]
        assert self.names(run, "--user=alice") == ["hers"]
        assert self.names(run, "--client=gateway") == ["first"]

    def test_lists_what_ends_soon(self, run: Run, alice: User) -> None:
        key_of(alice, "soon", days=13)
        key_of(alice, "later", days=15)

        assert self.names(run, "--expiring-within=14d") == ["soon"]

    def test_lists_what_nobody_uses(self, run: Run, alice: User) -> None:
        long_ago = timezone.now() - 91 * DAY
        ApiKey.objects.filter(pk=key_of(alice, "idle").pk).update(created_at=long_ago)

        assert self.names(run, "--unused-for=90d") == ["idle"]

    def test_lists_what_was_revoked(self, run: Run) -> None:
        ApiKey.objects.update(revoked_at=timezone.now())

        assert self.names(run) == []
        assert self.names(run, "--revoked") == ["first"]

    def test_shows_no_secret(self, run: Run) -> None:
        digest = ApiKey.objects.get().secret_digest

        (row,) = run("list_api_keys")

        assert digest not in str(row)
        assert "key" not in row

    def test_prints_ids(self, capsys: pytest.CaptureFixture[str]) -> None:
        call_command("list_api_keys", "--quiet")

        assert capsys.readouterr().out.strip() == ApiKey.objects.get().public_id

    def test_knows_nobody(self) -> None:
        assert exit_code("list_api_keys", "--user=nobody") == Exit.NOTHING_MATCHED


class TestRotateApiKey:
    def test_lets_both_open(self, run: Run, gateway: ServiceClient) -> None:
        old = run("create_api_key", "--client=gateway", "--name=second")

        new = run("rotate_api_key", old["id"], "--overlap=24h")

        assert [opens(row["key"]) for row in (old, new)] == [True, True]
        (listed,) = (row for row in run("list_api_keys") if row["id"] == old["id"])
        assert listed["replaced_by"] == new["id"]

    def test_ends_the_old_one_at_once(self, run: Run) -> None:
        old = run("create_api_key", "--client=gateway", "--name=second")

        new = run("rotate_api_key", old["id"], "--overlap=0s")

        assert [opens(row["key"]) for row in (old, new)] == [False, True]

    def test_ends_with_a_code(self, run: Run) -> None:
        known = ApiKey.objects.get().public_id
        assert exit_code("rotate_api_key", known, "--overlap=24h", "--quiet") == Exit.USAGE
        assert exit_code("rotate_api_key", "key_1", "--overlap=24h") == Exit.USAGE
        assert exit_code("rotate_api_key", known, "--overlap=31d") == Exit.USAGE
        unknown = f"key_{'0' * 32}"
        assert exit_code("rotate_api_key", unknown, "--overlap=1d") == Exit.NOTHING_MATCHED

        run("rotate_api_key", known, "--overlap=24h")

        assert exit_code("rotate_api_key", known, "--overlap=24h") == Exit.REFUSED


class TestRevokeTokens:
    def test_takes_a_person_s_keys(self, run: Run, alice: User) -> None:
        key_of(alice)
        key_of(factories.bob())

        row = run(
            "revoke_tokens", "--type=api-key", "--user=alice", "--yes", "--reason=lost laptop"
        )

        assert row["revoked"] == 1
        assert ApiKey.objects.unrevoked().filter(user=alice).count() == 0
        assert ApiKey.objects.unrevoked().count() == 2
        event = SecurityEvent.objects.get(code="api_key_revoked")
        assert (event.user, event.data["why"]) == (alice, "lost laptop")

    def test_takes_all(self, run: Run, alice: User) -> None:
        key_of(alice)

        assert run("revoke_tokens", "--type=api-key", "--all", "--yes")["revoked"] == 2


class TestCreateServiceClient:
    def test_takes_public_keys_instead_of_a_secret(self, run: Run, tmp_path: Path) -> None:
        key, file = new_key(), tmp_path / "jwks.json"
        file.write_text(json.dumps(public(key)))

        row = run(
            "create_service_client", "signer", "--scope", "redeem",
            f"--jwks-file={file}", "--no-secret",
        )  # fmt: skip

        assert row["kids"] == ["k1"]
        assert "client_secret" not in row
        assert not ApiKey.objects.filter(client__client_id="signer").exists()
        claims = {"iss": "signer", "sub": "signer", "aud": settings.ISSUER_URL, "jti": "1"}
        exp = int(timezone.now().timestamp()) + 60
        shown = sign(key, claims | {"exp": exp})
        client = authenticate_assertion(assertion=shown, audiences=[settings.ISSUER_URL])
        assert client.granted_scopes == {"redeem"}

    @pytest.mark.parametrize(
        "text", ["", "{", "[]", '{"keys":[]}', '{"keys":[{"kty":"oct","k":"AAAA"}]}']
    )
    def test_refuses_what_is_no_key_set(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / "jwks.json"
        file.write_text(text)

        assert exit_code("create_service_client", "other", f"--jwks-file={file}") == Exit.USAGE
        assert not ServiceClient.objects.filter(client_id="other").exists()

    def test_refuses_private_keys(self, tmp_path: Path) -> None:
        file = tmp_path / "jwks.json"
        file.write_text(json.dumps({"keys": [dict(new_key().as_dict(private=True))]}))

        assert exit_code("create_service_client", "other", f"--jwks-file={file}") == Exit.USAGE

    @pytest.mark.parametrize("words", [["--no-secret"], ["--jwks-file=/nowhere"]])
    def test_needs_some_way_in(self, words: list[str]) -> None:
        assert exit_code("create_service_client", "other", *words) == Exit.USAGE
