"""What an operator has chosen to revoke, before it is asked about."""

from collections.abc import Callable
from typing import NamedTuple


class Selected(NamedTuple):
    """What to do, to how many; who is to be signed out everywhere need not be signed in."""

    revoke: Callable[[], int]
    found: int
    anything: bool
