"""Logs: one JSON object a line outside development, each with its request's id.

Only the message and a closed list of fields are written: no body, query string or header.
"""

import json
import logging
from datetime import UTC, datetime
from typing import Any

from authproject.web.request_id import current_request_id

FIELDS = ("method", "path", "status", "duration_ms", "code", "reason")


class RequestIdFilter(logging.Filter):
    """Put the current request's id on every record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the record, with its `request_id`."""
        record.request_id = current_request_id()
        return True


class JSONLineFormatter(logging.Formatter):
    """Write a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": getattr(record, "request_id", ""),
        }
        line |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class TextLineFormatter(logging.Formatter):
    """Write a record as a line for people, in which no caller can begin a line of their own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line, its control characters escaped; a traceback follows as it is."""
        return "".join(
            character if character.isprintable() else character.encode("unicode_escape").decode()
            for character in super().formatMessage(record)
        )


def logging_config(*, level: str, form: str) -> dict[str, Any]:
    """Return the `dictConfig` that writes records of `level` and above to stderr as `form`."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request_id": {"()": RequestIdFilter}},
        "formatters": {
            "json": {"()": JSONLineFormatter},
            "text": {
                "()": TextLineFormatter,
                "fmt": "%(asctime)s %(levelname)-7s %(name)s: %(message)s",
            },
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "filters": ["request_id"],
                "formatter": form,
            }
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # The request log above has a line for each 4xx already; Django adds the tracebacks.
            "django.request": {"level": "ERROR"},
            "django.security.DisallowedHost": {"level": "CRITICAL"},
            # httpx logs whole addresses at INFO, with their query strings.
            "httpx": {"level": "WARNING"},
            "httpcore": {"level": "WARNING"},
        },
    }
