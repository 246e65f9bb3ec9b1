"""What the newcomer reads: a line for each thing that is done, as soon as it is."""

from collections.abc import Callable

NAME_WIDTH = 14
TEXT_WIDTH = 34


class Output:
    """Writes lines by `write`, which must not keep them in a buffer."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self.line = write

    def done(self, name: str, text: str, beside: str = "") -> None:
        """Tick off a part; `beside` stands in a second column."""
        self.line(f"✓ {name:<{NAME_WIDTH}}{text:<{TEXT_WIDTH}}{beside}".rstrip())

    def step(self, name: str, text: str, *more: str) -> None:
        """Tell what happened; each of `more` on a line of its own below."""
        self.line(f"→ {name:<{NAME_WIDTH}}{text}")
        for part in more:
            self.line(f"  {'':<{NAME_WIDTH}}{part}")

    def tried(self, attempt: str, answer: str) -> None:
        """Tell what somebody tried, and what came of it."""
        self.line(f"✗ {attempt:<{TEXT_WIDTH}}{answer}")

    def heading(self, text: str) -> None:
        self.line("")
        self.line(text)
        self.line("")
