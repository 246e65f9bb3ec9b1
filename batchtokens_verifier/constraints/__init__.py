"""What bounds an operation token: money, periods, schedules, slots and limits (DESIGN §5.1, §6)."""

from batchtokens_verifier.constraints.money import Amount, exponent

__all__ = ["Amount", "exponent"]
