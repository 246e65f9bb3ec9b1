"""Commands in tests: what one prints and how it ends."""

import json
from io import StringIO
from typing import Any, NamedTuple

from django.core.management import CommandError, call_command

from accounts.management.base import Exit


class Ended(NamedTuple):
    """code: the exit code. out: what stdout got. said: stderr, then the sentence of a failure."""

    code: int
    out: str
    said: str

    @property
    def rows(self) -> Any:
        """Read stdout as JSON."""
        assert self.out, self.said
        return json.loads(self.out)


def operations(*arguments: str, form: str | None = "json") -> Ended:
    """Run `manage.py operations …` in this process."""
    return ended("operations", *arguments, form=form)


def ended(name: str, *arguments: str, form: str | None = "json") -> Ended:
    """Run a command in this process; usage errors have argparse's code."""
    out, err = StringIO(), StringIO()
    chosen = ("--format", form) if form and "--format" not in arguments else ()
    try:
        call_command(name, *arguments, *chosen, stdout=out, stderr=err)
    except CommandError as error:
        # argparse's own errors have Django's default; the process turns them into 2.
        code = error.returncode if type(error) is not CommandError else Exit.USAGE
        return Ended(code, out.getvalue(), err.getvalue() + str(error))
    return Ended(Exit.OK, out.getvalue(), err.getvalue())
