"""Reading the environment."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from authproject.env import Environment, generated_secret


def test_reads_the_default_of_an_absent_or_empty_name() -> None:
    assert Environment({}).integer("PORT") == 8000
    assert Environment({"PORT": ""}).integer("PORT") == 8000


def test_refuses_a_name_that_is_not_declared() -> None:
    with pytest.raises(KeyError):
        Environment({"SHELL": "/bin/sh"}).text("SHELL")


def test_reads_a_value_from_the_file_that_x_file_names(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from a file\n")
    env = Environment({"SECRET_KEY_FILE": str(secret), "SECRET_KEY": "not this"})
    assert env.text("SECRET_KEY") == "from a file"


def test_names_the_variable_whose_file_is_missing(tmp_path: Path) -> None:
    env = Environment({"SECRET_KEY_FILE": str(tmp_path / "missing")})
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY_FILE"):
        env.text("SECRET_KEY")


def test_names_the_variable_whose_file_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\xff\xfe\x00")
    env = Environment({"SECRET_KEY_FILE": str(tmp_path / "secret")})
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY_FILE"):
        env.text("SECRET_KEY")


def test_reads_the_name_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "list").touch()
    for name in ("list", str(tmp_path / "list")):
        env = Environment({"BREACHED_PASSWORDS_FILE": name})
        assert env.file("BREACHED_PASSWORDS_FILE", below=tmp_path) == tmp_path / "list"
    assert Environment({}).file("BREACHED_PASSWORDS_FILE", below=tmp_path) is None


def test_names_the_variable_that_names_no_file(tmp_path: Path) -> None:
    env = Environment({"BREACHED_PASSWORDS_FILE": "absent"})
    with pytest.raises(ImproperlyConfigured, match="BREACHED_PASSWORDS_FILE"):
        env.file("BREACHED_PASSWORDS_FILE", below=tmp_path)


@pytest.mark.parametrize(("word", "value"), [("on", True), ("TRUE", True), ("0", False)])
def test_reads_flags(word: str, value: bool) -> None:
    assert Environment({"DEBUG": word}).flag("DEBUG") is value


@pytest.mark.parametrize("word", ["maybe", "2", "of"])
def test_refuses_a_flag_that_is_neither_yes_nor_no(word: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="DEBUG must be true or false"):
        Environment({"DEBUG": word}).flag("DEBUG")


@pytest.mark.parametrize("text", ["-1", "1.5", "ten", "١"])
def test_refuses_what_is_not_a_whole_number(text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="PORT must be a whole number"):
        Environment({"PORT": text}).integer("PORT")


def test_reads_seconds_and_lists() -> None:
    env = Environment({"KEY_RING_TTL": "5", "ALLOWED_HOSTS": "a.example, b.example,"})
    assert env.seconds("KEY_RING_TTL") == timedelta(seconds=5)
    assert env.words("ALLOWED_HOSTS") == ["a.example", "b.example"]


def test_refuses_a_word_that_is_no_choice() -> None:
    with pytest.raises(ImproperlyConfigured, match="ENVIRONMENT must be one of a, b"):
        Environment({"ENVIRONMENT": "staging"}).choice("ENVIRONMENT", "a", "b")


def test_keeps_a_generated_secret_for_the_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secret_key"
    first = generated_secret(path, new="one")
    assert generated_secret(path, new="two") == first == "one"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["secret_key"]
