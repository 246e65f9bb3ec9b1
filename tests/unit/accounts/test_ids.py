"""ids: UUIDv7 inside, typed text outside."""

import uuid

import pytest

from accounts.errors import UnknownId
from accounts.ids import new_id, parse_public_id, public_id


def test_makes_version_7_in_order() -> None:
    made = [new_id() for _ in range(100)]

    assert {identifier.version for identifier in made} == {7}
    assert made == sorted(made)


def test_reads_what_it_writes() -> None:
    identifier = new_id()

    assert parse_public_id(public_id("usr", identifier), "usr") == identifier


@pytest.mark.parametrize(
    "text",
    [
        "",
        "usr_",
        "usr",
        "ses_" + "0" * 32,
        "usr_" + "0" * 31,
        "usr_" + "0" * 33,
        "usr_" + "A" * 32,
        "usr_" + "０" * 32,
        "usr_" + str(uuid.UUID(int=0)),
        " usr_" + "0" * 32,
        "usr_" + "0" * 32 + "\n",
        "usr__" + "0" * 32,
    ],
)
def test_refuses_every_other_spelling(text: str) -> None:
    with pytest.raises(UnknownId):
        parse_public_id(text, "usr")
