"""Amounts of money: integer minor units and an ISO 4217 code; never a float."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from batchtokens_verifier.constraints.currencies import EXPONENTS
from batchtokens_verifier.errors import InvalidConstraints, ProblemError

_WHOLE = r"(?:0|[1-9][0-9]{0,12})"
_PATTERNS = {
    exponent: re.compile(_WHOLE + (rf"\.[0-9]{{{exponent}}}" if exponent else ""))
    for exponent in set(EXPONENTS.values())
}


def exponent(currency: str) -> int:
    """Return how many decimals the currency has.

    Raises InvalidConstraints where ISO 4217 knows no such currency.
    """
    if currency not in EXPONENTS:
        raise InvalidConstraints("Unknown currency.", pointer="/currency")
    return EXPONENTS[currency]


@dataclass(frozen=True, slots=True)
class Amount:
    """A sum of money. minor: in the currency's smallest unit, as 5000 for 50.00 USD."""

    minor: int
    currency: str

    @classmethod
    def parse(
        cls, value: object, pointer: str, *, error: type[ProblemError] = InvalidConstraints
    ) -> Self:
        """Read {"amount","currency"} at `pointer`: more than zero, exactly the currency's decimals.

        Raises `error` with the pointer of the wrong member.
        """
        if not isinstance(value, Mapping) or set(value) != {"amount", "currency"}:
            raise error("An amount has the members amount and currency.", pointer=pointer)
        currency, text = value["currency"], value["amount"]
        if not isinstance(currency, str) or currency not in EXPONENTS:
            raise error("Unknown currency.", pointer=f"{pointer}/currency")
        decimals = EXPONENTS[currency]
        if not isinstance(text, str) or not _PATTERNS[decimals].fullmatch(text):
            raise error(f"A decimal string with {decimals} decimals.", pointer=f"{pointer}/amount")
        minor = int(text.replace(".", ""))
        if minor == 0:
            raise error("An amount is more than zero.", pointer=f"{pointer}/amount")
        return cls(minor, currency)

    def as_json(self) -> dict[str, str]:
        """Return {"amount","currency"}, the amount with exactly the currency's decimals."""
        return {"amount": str(self), "currency": self.currency}

    def __str__(self) -> str:
        """Return the amount alone: 50.00 for 5000 minor units of USD."""
        decimals = exponent(self.currency)
        if not decimals:
            return str(self.minor)
        whole, fraction = divmod(self.minor, 10**decimals)
        return f"{whole}.{fraction:0{decimals}}"
