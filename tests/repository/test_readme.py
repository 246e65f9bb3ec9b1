"""The README keeps up with what it tells: commands, rooms, links, promises."""

import re
import subprocess
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import get_commands

from tests.readme import shell_blocks
from tests.repository.tree import text, tracked

README = text("README.md")
PROMISES = (
    "At most one accepted redemption per slot",
    "one effect, if the executor stores the redemption id with it",
    "Any change to sealed entries shows to whoever holds an earlier checkpoint or receipt",
    "Holding or cancelling stops redemptions at once",
    "reaches offline verifiers within five minutes",
    "Nothing acknowledged is lost in process and host crashes",
)


@pytest.mark.parametrize("block", shell_blocks())
def test_shell_blocks_are_shell(block: str) -> None:
    checked = subprocess.run(
        ["bash", "-n"], input=block, text=True, capture_output=True, check=False
    )
    assert checked.stderr == ""


def test_there_is_something_to_paste() -> None:
    assert len(shell_blocks()) >= 2


def test_the_commands_it_names_exist() -> None:
    named = set(re.findall(r"manage\.py ([a-z_]+)", README))
    assert named - set(get_commands()) == set()
    assert {"quickstart", "serve", "run_worker", "create_service_client"} <= named


def test_its_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert [target for target in targets if not (settings.BASE_DIR / target).exists()] == []


def test_it_names_every_room() -> None:
    rooms = {Path(path).parts[0] for path in tracked() if "/" in path and path[0] != "."}
    assert [room for room in sorted(rooms) if f"`{room}/`" not in README] == []


@pytest.mark.parametrize("promise", PROMISES)
def test_it_promises_what_is_kept_and_no_more(promise: str) -> None:
    assert promise in " ".join(README.replace("*", "").split())
