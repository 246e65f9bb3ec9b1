"""What a credential's sign-in is good for."""

import pytest

from accounts.models import User
from accounts.tokens.access import Grant


@pytest.mark.parametrize(
    ("said", "wanted", "is_enough"),
    [
        ("", "", True),
        ("aal1", "", True),
        ("aal2", "", True),
        ("", "aal1", False),
        ("aal1", "aal1", True),
        ("aal2", "aal1", True),
        ("", "aal2", False),
        ("aal1", "aal2", False),
        ("aal2", "aal2", True),
        ("aal3", "aal2", False),
        ("AAL2", "aal2", False),
    ],
)
def test_reaches_the_levels_below_its_own(said: str, wanted: str, is_enough: bool) -> None:
    grant = Grant(User(), frozenset(), "first-party", "https://auth.example", acr=said)

    assert grant.reaches(wanted) == is_enough
