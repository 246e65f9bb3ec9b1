"""The processes of an installation: what starts them, and what their environment holds."""

import os
import sys

from django.conf import settings

from authproject.env import VARIABLES
from authproject.quickstart.demo import Example
from authproject.quickstart.preparation import HOST
from authproject.quickstart.supervisor import Service


def web_server(port: int) -> Service:
    return Service("web server", manage("serve", "--port", str(port)), os.environ)


def worker() -> Service:
    return Service("worker", manage("run_worker"), os.environ)


def manage(*arguments: str) -> list[str]:
    return [sys.executable, "manage.py", *arguments]


def savings_example(example: Example) -> Service:
    """Return the example as the separate service that it is: none of our own secrets reach it."""
    declared = {variable.name for variable in VARIABLES}
    ours = declared | {f"{name}_FILE" for name in declared}
    inherited = {name: value for name, value in os.environ.items() if name not in ours}
    return Service(
        "savings example",
        [sys.executable, "-m", "examples.savings"],
        inherited | example_environment(example),
    )


def example_environment(example: Example) -> dict[str, str]:
    credentials = {
        "GATEWAY": example.gateway,
        "TRIGGER": example.trigger,
        "EXECUTOR": example.executor,
    }
    return {
        "AUTHORITY_URL": settings.ISSUER_URL,
        "PUBLIC_URL": example.url,
        "HOST": HOST,
        "PORT": str(settings.EXAMPLE_PORT),
        "DATA_DIR": str(settings.DATA_DIR),
        "DELIVERY_SECRET": example.delivery_secret,
        "LOG_LEVEL": "INFO",
        **{f"{role}_CLIENT_ID": each.client_id for role, each in credentials.items()},
        **{f"{role}_CLIENT_SECRET": each.secret for role, each in credentials.items()},
    }
