"""What the README tells people to paste into a shell."""

import re
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"
_SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def shell_blocks() -> list[str]:
    """Return the shell blocks, in their order."""
    return _SHELL.findall(README.read_text(encoding="utf-8"))
