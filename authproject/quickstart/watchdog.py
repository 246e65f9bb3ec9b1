"""Ends process groups when the process that started them is gone, be it by kill -9.

Run as a program. It reads group ids from stdin, one a line ("+123" joins, "-123" leaves); the end
of the input means that the other side of the pipe has died.
"""

import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress

PATIENCE = 5.0  # seconds between asking a group to end and killing it


def follow(lines: Iterable[str]) -> set[int]:
    """Return the groups that are still there when the input ends."""
    groups: set[int] = set()
    for line in lines:
        group = int(line)
        if group > 0:
            groups.add(group)
        else:
            groups.discard(-group)
    return groups


def signal_group(group: int, number: int) -> bool:
    """Signal every process of a group; False where it is empty."""
    # macOS answers "not permitted" for a group of zombies.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
        return True
    return False


def end_groups(groups: set[int]) -> None:
    """Ask the groups to end, and kill what has not after PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    left = {group for group in groups if signal_group(group, signal.SIGTERM)}
    while left and time.monotonic() < deadline:
        time.sleep(0.1)
        left = {group for group in left if signal_group(group, 0)}
    for group in left:
        signal_group(group, signal.SIGKILL)


if __name__ == "__main__":
    end_groups(follow(sys.stdin))
