"""Every environment variable of the service: its name, default and meaning, and how it is read.

`settings.py` is the only reader. A name that is not declared here cannot be read, so the list in
docs/settings.md, generated from it, is complete.
"""

import contextlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured
from environ.fileaware_mapping import FileAwareMapping

from authproject.rates import Rates, parse_rates

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True)
class Variable:
    """One variable: `default` is used when it is absent, `shown` replaces that in the docs."""

    name: str
    default: str
    meaning: str
    shown: str = ""


VARIABLES = (
    Variable(
        "ENVIRONMENT",
        "development",
        "`development`, `production` or `test`. Production refuses to start on unsafe settings.",
    ),
    Variable("DEBUG", "false", "Django's debug pages. Refused in production."),
    Variable("DATA_DIR", "var", "Folder of the SQLite database and of development's own secrets."),
    Variable(
        "SECRET_KEY",
        "",
        "Signs sessions and CSRF tokens; at least 50 characters. Required in production.",
        shown="generated in `DATA_DIR`",
    ),
    Variable(
        "FIELD_ENCRYPTION_KEYS",
        "",
        "Comma-separated keys of 32 bytes in base64url. The first seals, all of them open;"
        " after `reseal_fields` the others can go. Required in production.",
        shown="generated in `DATA_DIR`",
    ),
    Variable(
        "DATABASE_URL",
        "",
        "`postgresql://user:password@host/name`, or `sqlite:////absolute/path`.",
        shown="SQLite in `DATA_DIR`",
    ),
    Variable(
        "ALLOW_SQLITE", "false", "Let production run on SQLite: one writing process, one machine."
    ),
    Variable(
        "STATEMENT_TIMEOUT",
        "15",
        "Seconds after which PostgreSQL gives up on a statement.",
    ),
    Variable(
        "ISSUER_URL",
        "",
        "The public address, `iss` of every token. Must be https in production.",
        shown="`http://127.0.0.1:$PORT`",
    ),
    Variable("PORT", "8000", "Port of the web server."),
    Variable("EXAMPLE_PORT", "8100", "Port of the savings example that `quickstart` starts."),
    Variable(
        "ALLOWED_HOSTS",
        "",
        "Comma-separated host names that are answered. Required in production; `*` is refused.",
        shown="the host of `ISSUER_URL`, and localhost",
    ),
    Variable(
        "TRUSTED_PROXY_COUNT",
        "0",
        "Reverse proxies in front; only so many entries of X-Forwarded-For are believed.",
    ),
    Variable(
        "HSTS_SECONDS", "31536000", "Seconds browsers remember to come by https; `0`: they do not."
    ),
    Variable(
        "HSTS_SUBDOMAINS",
        "false",
        "Let that bind all subdomains, too, and browsers' preload lists: the domain owner decides.",
    ),
    Variable("RATE_LIMITS", "on", "`off` switches volume limits off. Refused in production."),
    Variable(
        "CACHE_URL",
        "",
        "`redis://host:6379/0`: counts for the volume limits.",
        shown="the database",
    ),
    Variable(
        "RATE_LIMIT_ANONYMOUS",
        "200/d,50/h",
        "How often one address may ask without a credential; `s`, `m`, `h` or `d`.",
    ),
    Variable("RATE_LIMIT_SIGN_IN", "10/m", "How often one address may try to sign in."),
    Variable(
        "RATE_LIMIT_EXPENSIVE",
        "5/m",
        "How often one address may register, or have an e-mail sent.",
    ),
    Variable("RATE_LIMIT_REFRESH", "120/m", "How often one address may refresh."),
    Variable("PASSWORD_MIN_LENGTH", "15", "Characters (NIST SP 800-63B-4: 15; at least 8)."),
    Variable(
        "BREACHED_PASSWORDS_FILE",
        "",
        "Sorted SHA-1 digests of leaked passwords, as Have I Been Pwned gives them out.",
        shown="Django's list of 20,000",
    ),
    Variable(
        "EMAIL_URL",
        "",
        "`smtp+tls://user:password@host:587`, or `consolemail://`.",
        shown="files in `DATA_DIR/mail`",
    ),
    Variable("EMAIL_FROM", "authproject@localhost", "The address that e-mails come from."),
    Variable(
        "EMAIL_VERIFICATION",
        "",
        "`required`: nobody signs in before they have shown that the address is theirs."
        " `optional`: they may.",
        shown="`required` in production",
    ),
    Variable(
        "FEDERATED_PROVIDERS",
        "",
        "JSON list of providers to sign in with; docs/authentication.md shows its members.",
        shown="none",
    ),
    Variable(
        "BROWSER_SESSION_IDLE", "3600", "Seconds after which an unused browser is signed out."
    ),
    Variable("BROWSER_SESSION_LIFETIME", "86400", "Seconds after which any browser is signed out."),
    Variable("FRESH_AUTHENTICATION", "300", "Seconds for which a sign-in allows dangerous acts."),
    Variable("API_KEY_MAX_DAYS", "366", "Days that an API key of a person may live at most."),
    Variable("ACCESS_TOKEN_LIFETIME", "900", "Seconds an access token lives."),
    Variable("REFRESH_TOKEN_LIFETIME", "2592000", "Seconds a refresh token lives."),
    Variable("SESSION_FAMILY_LIFETIME", "7776000", "Seconds a signed-in place lives."),
    Variable("KEY_RING_TTL", "60", "Seconds a process trusts its copy of the signing keys."),
    Variable(
        "KEY_PUBLISH_AHEAD", "86400", "Seconds a new signing key is published before it signs."
    ),
    Variable(
        "LEDGER_SINK",
        "",
        "Folder outside of the database, best on another disk, that keeps signed checkpoints."
        " Web and worker processes share it.",
        shown="`checkpoints` in `DATA_DIR`",
    ),
    Variable("REDEMPTION_LEASE", "300", "Seconds an executor has between redeeming and settling."),
    Variable(
        "DELIVERY_LEASE", "60", "Seconds a worker has for one delivery before another takes it."
    ),
    Variable(
        "DELIVERY_TIMEOUT", "10", "Seconds a worker waits for each step of an executor's answer."
    ),
    Variable(
        "DELIVERY_BACKOFF",
        "",
        "Seconds before a failed delivery is tried again; doubles with each try.",
        shown="`5`, in development `1`",
    ),
    Variable("LOG_LEVEL", "INFO", "`DEBUG`, `INFO`, `WARNING` or `ERROR`."),
    Variable(
        "LOG_FORMAT",
        "",
        "`json` (one object a line) or `text`.",
        shown="`text` in development, else `json`",
    ),
    Variable(
        "METRICS_TOKEN",
        "",
        "Opens `/metrics` to Prometheus, as a bearer token; at least 32 characters.",
        shown="`/metrics` is off",
    ),
)


class Environment:
    """Read declared variables from `source`; each `X` also from the file that `X_FILE` names."""

    def __init__(self, source: Mapping[str, str]) -> None:
        self._source = FileAwareMapping(dict(source))
        self._declared = {variable.name: variable for variable in VARIABLES}

    def text(self, name: str) -> str:
        """Return the value, or the declared default when it is absent or empty."""
        default = self._declared[name].default
        try:
            return self._source.get(name, "").strip() or default
        except OSError as error:
            raise ImproperlyConfigured(
                f"{name}_FILE names a file that cannot be read: {error.strerror}."
            ) from error
        except ValueError as error:
            raise ImproperlyConfigured(f"{name}_FILE names a file that is no text.") from error

    def choice(self, name: str, *allowed: str) -> str:
        """Return the value; it must be one of `allowed`."""
        value = self.text(name)
        if value not in allowed:
            words = ", ".join(filter(None, allowed))
            raise ImproperlyConfigured(f"{name} must be one of {words}.")
        return value

    def flag(self, name: str) -> bool:
        """Return the value as a boolean; a word that is neither yes nor no is refused."""
        word = self.text(name).lower()
        if word not in TRUE_WORDS | FALSE_WORDS:
            raise ImproperlyConfigured(f"{name} must be true or false.")
        return word in TRUE_WORDS

    def integer(self, name: str) -> int:
        """Return the value as a non-negative integer."""
        text = self.text(name)
        if not (text.isascii() and text.isdigit()):
            raise ImproperlyConfigured(f"{name} must be a whole number.")
        return int(text)

    def port(self, name: str) -> int:
        """Return the value as a TCP port."""
        value = self.integer(name)
        if not 0 < value < 65536:
            raise ImproperlyConfigured(f"{name} must be between 1 and 65535.")
        return value

    def seconds(self, name: str) -> timedelta:
        """Return the value, a whole number of seconds, as a duration."""
        return timedelta(seconds=self.integer(name))

    def rates(self, name: str) -> Rates:
        """Return the value, one or more limits of volume."""
        return parse_rates(name, self.text(name))

    def file(self, name: str, *, below: Path) -> Path | None:
        """Return the file that the value names, relative to a folder; None if it names none."""
        text = self.text(name)
        if text and not (below / text).is_file():
            raise ImproperlyConfigured(f"{name} names no file.")
        return below / text if text else None

    def words(self, name: str) -> list[str]:
        """Return the comma-separated parts of the value."""
        return [word.strip() for word in self.text(name).split(",") if word.strip()]


def read_environment(dotenv: Path) -> Environment:
    """Return the process's environment, completed from the file `dotenv` outside tests."""
    if os.environ.get("ENVIRONMENT") != "test":
        environ.Env.read_env(dotenv)
    return Environment(os.environ)


def generated_secret(path: Path, *, new: str) -> str:
    """Return the secret kept in `path`; on first use `new` is put there, for the owner only.

    Raises ImproperlyConfigured where the folder is not ours to write to.
    """
    try:
        if not path.exists():
            _keep_secret(path, new)
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ImproperlyConfigured(
            f"{path.parent} cannot be used ({error.strerror}):"
            " change its owner, or set DATA_DIR to another folder."
        ) from error


def _keep_secret(path: Path, new: str) -> None:
    """Let the file appear whole or not at all: processes that start together agree on one value."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(new)
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
