"""A copy is compared with what was signed type by type: what Python calls equal may differ."""

from typing import Any

import pytest

from batchtokens_verifier.policy import _is_same

SIGNED: Any = {"action": "a", "flag": True, "list": ["1", {"x": "y"}]}


def test_the_same_members_in_another_order_are_the_same() -> None:
    assert _is_same(dict(reversed(SIGNED.items())), SIGNED)


@pytest.mark.parametrize(
    "change",
    [
        {"flag": 1},
        {"flag": 1.0},
        {"flag": "True"},
        {"list": ("1", {"x": "y"})},
        {"list": [1, {"x": "y"}]},
        {"list": [{"x": "y"}, "1"]},
        {"list": ["1", {"x": "y"}, "2"]},
        {"list": ["1"]},
        {"list": ["1", {"x": "y", "z": ""}]},
        {"action": None},
        {"more": "a"},
    ],
    ids=str,
)
def test_another_type_member_or_order_is_another_copy(change: dict[str, Any]) -> None:
    assert not _is_same({**SIGNED, **change}, SIGNED)
    assert not _is_same(SIGNED, {**SIGNED, **change})
