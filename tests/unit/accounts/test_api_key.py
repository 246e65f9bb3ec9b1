"""models.api_key: prefix, identifier, secret and checksum, without the database."""

import re
import string

import pytest

from accounts.models import api_key
from accounts.models.api_key import IDENTIFIER_LENGTH, generate_api_key, parse_api_key

SHAPE = re.compile(r"ak_live_[0-9A-Za-z]{51}")


def test_makes_keys_of_one_shape() -> None:
    made = [generate_api_key() for _ in range(50)]

    assert all(SHAPE.fullmatch(key.text) for key in made)
    assert len({key.text for key in made}) == 50


def test_reads_what_it_makes() -> None:
    key = generate_api_key()

    assert parse_api_key(key.text) == key
    assert len(key.identifier) == IDENTIFIER_LENGTH


def test_tells_every_mistyped_character() -> None:
    text = generate_api_key().text

    for place in range(len("ak_live_"), len(text)):
        for other in string.ascii_letters:
            if other != text[place]:
                assert parse_api_key(text[:place] + other + text[place + 1 :]) is None


def test_refuses_what_no_column_can_hold_though_its_checksum_is_right() -> None:
    body = generate_api_key().text[:30] + "\0" + "x" * 22

    assert parse_api_key(body + api_key._checksum(body)) is None


@pytest.mark.parametrize("change", ["", "{}x", "x{}", " {}", "{}\n", "é{}"])
def test_refuses_other_shapes(change: str) -> None:
    assert parse_api_key(change.format(generate_api_key().text)) is None
