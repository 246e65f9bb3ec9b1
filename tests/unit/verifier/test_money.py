"""Amounts of money."""

from typing import Any

import pytest

from batchtokens_verifier.constraints import Amount, exponent
from batchtokens_verifier.errors import InvalidConstraints, InvalidOperation
from tests.unit.verifier.vectors import load


def test_amounts_round_trip() -> None:
    for vector in load("amounts")["valid"]:
        value = {"amount": vector["amount"], "currency": vector["currency"]}
        amount = Amount.parse(value, "")
        assert amount == Amount(vector["minor"], vector["currency"])
        assert amount.as_json() == value


def refused_at(value: Any) -> str | None:
    try:
        Amount.parse(value, "/max_total")
    except InvalidConstraints as refusal:
        return refusal.pointer
    return None


def test_other_spellings_are_refused() -> None:
    vectors = load("amounts")["refused"]
    expected = [(vector["value"], f"/max_total{vector['pointer']}") for vector in vectors]

    assert [(vector["value"], refused_at(vector["value"])) for vector in vectors] == expected


def test_caller_names_the_error() -> None:
    with pytest.raises(InvalidOperation):
        Amount.parse("50.00", "/amount", error=InvalidOperation)


@pytest.mark.parametrize(
    ("currency", "decimals"), [("JPY", 0), ("USD", 2), ("HUF", 2), ("TND", 3), ("UYW", 4)]
)
def test_exponents_of_iso_4217(currency: str, decimals: int) -> None:
    assert exponent(currency) == decimals


def test_unknown_currency_has_no_exponent() -> None:
    with pytest.raises(InvalidConstraints):
        exponent("XTS")


def test_what_remains_may_be_nothing() -> None:
    assert str(Amount(0, "USD")) == "0.00"
