"""The documents that are lists of what the code knows; `generate_docs` writes them."""

from collections.abc import Callable, Iterator

from django.core.management import get_commands, load_command_class
from django.urls import get_resolver

from accounts.errors import AccountsError
from accounts.management.base import Exit, ProductCommand
from authproject.env import VARIABLES, Variable
from authproject.management.authentication_document import authentication_document
from authproject.management.states_document import states_document
from authproject.management.token_format import PAGE, token_format_document
from authproject.problems import PLAIN_CODES
from batchtokens.errors import BatchtokensError
from batchtokens_verifier.errors import ProblemError, VerificationError

NOTE = "<!-- Written by `manage.py generate_docs`; a test compares. -->"
BASES = frozenset({AccountsError, BatchtokensError, VerificationError})
ROOMS = ("accounts", "authproject", "batchtokens", "batchtokens_verifier")


def settings_document() -> str:
    """Return the list of environment variables."""
    rows = [f"| `{v.name}` | {_default(v)} | {v.meaning} |" for v in VARIABLES]
    intro = (
        "All settings come from the environment, or from `.env` beside `manage.py`. Each `X` may"
        " also be given as `X_FILE`, the path of a file that holds the value."
    )
    return _document("Settings", intro, ["| name | default | meaning |", "|---|---|---|", *rows])


def _default(variable: Variable) -> str:
    return variable.shown or (f"`{variable.default}`" if variable.default else "")


def dotenv_example() -> str:
    """Return a `.env` in which every line is a comment."""
    head = (
        "# Copy to .env and take the # away where a value is needed. docs/settings.md is the list."
    )
    lines = [f"# {v.meaning}\n#{v.name}={v.default}" for v in VARIABLES]
    return "\n\n".join([f"{head}\n# Written by manage.py generate_docs.", *lines]) + "\n"


def errors_document() -> str:
    """Return the list of error codes, with what each is at both interfaces."""
    _ = get_resolver().url_patterns  # imports every module that declares errors
    found = {(e.code, int(e.status), e.oauth_error, e.title.rstrip(".")) for e in errors()}
    found |= {
        (code, int(status), oauth, status.phrase) for code, (status, oauth) in PLAIN_CODES.items()
    }
    rows = [f"| `{c}` | {status} | `{o}` | {title} |" for c, status, o, title in sorted(found)]
    intro = (
        "REST answers carry `code` in `application/problem+json` (RFC 9457); addresses under"
        " `/oauth/` answer `error` (RFC 6749 §5.2), where refusals are 400 and `invalid_client` is"
        " 401. Codes never change; titles may."
    )
    head = ["| code | status | OAuth error | title |", "|---|---|---|---|"]
    return _document("Errors", intro, [*head, *rows])


def errors(root: type[ProblemError] = ProblemError) -> Iterator[type[ProblemError]]:
    """Yield the product's errors, without the bases that are never raised."""
    for error in root.__subclasses__():
        if error.__module__.partition(".")[0] in ROOMS:
            if error not in BASES:
                yield error
            yield from errors(error)


def commands_document() -> str:
    """Return the list of this product's commands."""
    codes = ", ".join(f"{exit_code.value} {exit_code.name.lower()}" for exit_code in Exit)
    intro = f"`manage.py COMMAND --help` lists the options. Exit codes: {codes.replace('_', ' ')}."
    rows = [
        f"| `{name}{verb}` | {help_} |"
        for name, command in commands()
        for verb, help_ in command.documented()
    ]
    return _document("Commands", intro, ["| command | what |", "|---|---|", *rows])


def commands() -> Iterator[tuple[str, ProductCommand]]:
    """Yield the product's own commands by name."""
    for name, app in sorted(get_commands().items()):
        if str(app) in ROOMS:
            command = load_command_class(str(app), name)
            if isinstance(command, ProductCommand):
                yield name, command


def _document(title: str, intro: str, lines: list[str]) -> str:
    return "\n".join([f"# {title}", "", NOTE, "", intro, "", *lines, ""])


DOCUMENTS: dict[str, Callable[[], str]] = {
    "docs/settings.md": settings_document,
    "docs/errors.md": errors_document,
    "docs/commands.md": commands_document,
    "docs/authentication.md": lambda: authentication_document(NOTE),
    "docs/states.md": lambda: states_document(NOTE),
    PAGE: token_format_document,
    ".env.example": dotenv_example,
}
