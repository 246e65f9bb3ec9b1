"""The watchdog's view of who is still there."""

from authproject.quickstart.watchdog import follow, signal_group

NOBODY = 2**22 + 1  # above the largest process id of Linux


def test_groups_join_and_leave() -> None:
    assert follow(["+11\n", "+12\n", "-11\n", "+13\n"]) == {12, 13}


def test_nobody_joined() -> None:
    assert follow([]) == set()


def test_a_group_that_is_gone_is_no_error() -> None:
    assert signal_group(NOBODY, 0) is False
