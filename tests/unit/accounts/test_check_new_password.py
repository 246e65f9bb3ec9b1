"""The rules for new passwords (NIST SP 800-63B-4, 3.1.1.2)."""

import hashlib
import random
from pathlib import Path
from typing import Any

import pytest

from accounts.crypto.breached import is_breached, is_sorted_list
from accounts.models import User
from accounts.services.check_new_password import check_new_password, password_errors, unit_of
from batchtokens_verifier.errors import InvalidFieldsError

ALICE = User(username="Alice", email="alice.liddell@example.org")


def codes(password: str) -> list[str]:
    return [error.code for error in password_errors(password=password, user=ALICE)]


def digest(password: str) -> str:
    return hashlib.sha1(password.encode()).hexdigest().upper()


@pytest.fixture
def leaked(tmp_path: Path, settings: Any) -> Path:
    """List 2,000 passwords as leaked, as the lists are given out."""
    digests = sorted(digest(f"leaked passphrase {n}") for n in range(2000))
    chance = random.Random(1)
    path = tmp_path / "pwned.txt"
    lines = (f"{each}:{chance.randrange(10**6)}\r\n" for each in digests)
    path.write_bytes("".join(lines).encode())
    settings.BREACHED_PASSWORDS_FILE = path
    return path


@pytest.mark.spec("NIST SP 800-63B-4", "3.1.1.2")
@pytest.mark.parametrize(("length", "expected"), [(14, ["length"]), (15, []), (256, [])])
def test_counts_characters_whatever_they_are(length: int, expected: list[str]) -> None:
    assert codes(
        ("馬は電池の正しい留め金だ、と彼女は言った。" * 20)[:length].ljust(length, "x")
    ) == (expected)


def test_refuses_what_is_endless() -> None:
    assert codes("correct horse " * 19) == ["length"]


def test_counts_after_normalising() -> None:
    assert "length" in codes("ﷺ" * 15)  # each becomes 18 characters: more than 256


@pytest.mark.parametrize(
    "password",
    ["onlylowercaseletters", "73190284650173926", "     spaces count     ", "ÄÖÜäöüß and no digit"],
)
def test_has_no_rules_of_composition(password: str) -> None:
    assert codes(password) == []


@pytest.mark.parametrize(
    "password",
    ["123456789012345", "password1password1", "aaaaaaaaaaaaaaaaaa", "Password1Password1"],
)
def test_knows_what_is_common_however_often_it_is_repeated(password: str) -> None:
    assert codes(password)[0] in {"password_too_common", "password_too_similar"}


@pytest.mark.parametrize(
    "password",
    [
        "alicealicealice",
        "Authproject-Authproject",
        "alice.liddell@example.org",
        "ALICE authproject 1!",
        "alice.liddell12",
    ],
)
def test_knows_the_names_that_a_stranger_tries_first(password: str) -> None:
    assert "password_too_similar" in codes(password)


@pytest.mark.parametrize(
    "password", ["!@#$%^&*()_+{}|:<>?", "🐎🔋📎✅🦊🐙🌵🍋🚲🎺🧲🪁🧊🛶🎲", "मेरा लंबा पासवर्ड है यह"]
)
def test_wants_no_letters_and_no_digits(password: str) -> None:
    assert codes(password) == []


@pytest.mark.parametrize("password", ["alice ............", "-=-=-=-=-=-=-=-=-=", "\u0301" * 20])
def test_takes_no_line_of_signs_for_a_secret(password: str) -> None:
    assert "password_too_similar" in codes(password)


@pytest.mark.parametrize("password", ["\ufdfa", "\ufdfa right horse"])
def test_a_character_that_becomes_many_counts_as_one(password: str) -> None:
    assert codes(password) == ["length"]


def test_knows_names_in_other_forms_of_their_letters() -> None:
    assert "password_too_similar" in codes("ａｌｉｃｅ.ｌｉｄｄｅｌｌ@ｅｘａｍｐｌｅ.ｃｏ")


def test_judges_for_somebody_whose_names_were_refused() -> None:
    nobody = User(username=None, email=None)  # type: ignore[misc] # as Django's forms leave it
    assert password_errors(password="a long enough passphrase", user=nobody) == []


def test_takes_a_name_among_other_words() -> None:
    assert codes("alice would never ride that horse") == []


@pytest.mark.parametrize(
    ("text", "unit"), [("abcabcab", "abc"), ("aaaa", "a"), ("abcd", "abcd"), ("", "")]
)
def test_finds_what_is_repeated(text: str, unit: str) -> None:
    assert unit_of(text) == unit


def test_finds_every_leaked_password(leaked: Path) -> None:
    assert all(is_breached(f"leaked passphrase {n}", listed_in=leaked) for n in range(2000))


def test_finds_no_other_password(leaked: Path) -> None:
    others = (f"own passphrase {n}" for n in range(2000))
    assert not any(is_breached(each, listed_in=leaked) for each in others)


def test_finds_in_lists_without_counts_or_a_last_newline(tmp_path: Path) -> None:
    path = tmp_path / "list"
    for count in range(1, 6):
        path.write_text("\n".join(sorted(digest(str(n)).lower() for n in range(count))))
        assert all(is_breached(str(n), listed_in=path) for n in range(count))
        assert not is_breached("absent", listed_in=path)


def test_an_empty_list_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert not is_breached("anything", listed_in=tmp_path / "empty")


@pytest.mark.usefixtures("leaked")
def test_refuses_what_was_leaked() -> None:
    assert codes("leaked passphrase 17") == ["password_too_common"]
    with pytest.raises(InvalidFieldsError) as refused:
        check_new_password(password="leaked passphrase 17", user=ALICE, pointer="/new_password")
    assert [error.pointer for error in refused.value.errors] == ["/new_password"]


@pytest.mark.usefixtures("leaked")
def test_lets_nothing_pass_that_cannot_be_looked_up(leaked: Path) -> None:
    leaked.unlink()
    with pytest.raises(FileNotFoundError):
        codes("a long enough passphrase")


def test_tells_a_sorted_list_from_another(leaked: Path, tmp_path: Path) -> None:
    lines = leaked.read_text().splitlines(keepends=True)
    unsorted, text = tmp_path / "unsorted", tmp_path / "text"
    unsorted.write_text("".join(reversed(lines)))
    text.write_text("password\n123456\n")
    (tmp_path / "empty").touch()
    assert is_sorted_list(leaked)
    assert not any(map(is_sorted_list, (unsorted, text, tmp_path / "empty")))
