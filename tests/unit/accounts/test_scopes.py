"""scopes: RFC 6749 section 3.3."""

import pytest

from accounts.errors import InvalidScope
from accounts.scopes import format_scope, parse_scope


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", set()),
        (" ", set()),
        ("profile", {"profile"}),
        ("profile  account", {"profile", "account"}),
        ("a:b/c?d", {"a:b/c?d"}),
        ("profile profile", {"profile"}),
    ],
)
def test_splits_at_spaces(text: str, names: set[str]) -> None:
    assert parse_scope(text) == names


@pytest.mark.spec("RFC 6749", "3.3")
@pytest.mark.parametrize("text", ['"', "\\", "\t", "a\nb", "é", "\x7f", "a" * 101])
def test_refuses_other_characters(text: str) -> None:
    with pytest.raises(InvalidScope):
        parse_scope(text)


def test_writes_our_scopes_first() -> None:
    assert format_scope(["zoo", "account", "act", "profile"]) == "profile account act zoo"
