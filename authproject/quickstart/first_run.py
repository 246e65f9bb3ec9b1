"""The first run from beginning to end: prepare, start, show, stay."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
from django.conf import settings
from django.db import connection

from accounts.services.seed_users import DEMO_PASSWORD, DEMO_USERNAME
from authproject.management.ports import require_free_port
from authproject.quickstart import demo, mandates, preparation, processes
from authproject.quickstart.demo import Example
from authproject.quickstart.output import Output
from authproject.quickstart.preparation import HOST, Administrator
from authproject.quickstart.supervisor import Supervisor
from authproject.quickstart.walk import Walk

WALK_TIMEOUT = 15.0  # seconds, for each step of an answer


@dataclass(frozen=True)
class Wishes:
    """What the operator asked for."""

    demo: bool
    serve: bool
    port: int
    email: str


@dataclass(frozen=True)
class Installation:
    """What was prepared; `administrator` has a password only where it was made now."""

    database: str
    kid: str
    administrator: Administrator
    people: int = 0
    operations: int = 0
    example: Example | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what another program needs to go on."""
        return {
            "database": self.database,
            "kid": self.kid,
            "administrator": preparation.ADMINISTRATOR,
            "email": self.administrator.email,
            "password": self.administrator.password or None,
            "people": self.people,
            "operations": self.operations,
            **addresses(),
        }


def addresses() -> dict[str, str]:
    base = settings.ISSUER_URL
    return {"start": f"{base}/", "admin": f"{base}/admin/", "docs": f"{base}/api/v1/docs"}


def prepare(wishes: Wishes, output: Output) -> Installation:
    """Make everything ready to serve, a line for each part. Raises Stop."""
    check_surroundings(wishes)
    at = addresses()
    database = preparation.migrate()
    output.done("Database", database, f"Start      {at['start']}")
    key = preparation.ensure_keys()
    output.done("Signing key", f"{key.alg} kid={key.kid[:12]}…", f"Admin      {at['admin']}")
    administrator = preparation.ensure_administrator(wishes.email)
    output.done("Administrator", administrator.email, f"API docs   {at['docs']}")
    installation = Installation(database, key.kid, administrator)
    if wishes.demo:
        installation = with_demo_data(installation)
    if settings.PRODUCTION:
        preparation.collect_static_files()
        output.done("Static files", "collected")
    output.done(
        "Demo data", shown_demo(installation), f"Password   {shown_password(administrator)}"
    )
    connection.close()  # nothing is held while the servers run
    return installation


def check_surroundings(wishes: Wishes) -> None:
    preparation.require_writable(settings.DATA_DIR)
    if not wishes.serve:
        return
    require_free_port(
        HOST, wishes.port, mend="stop what listens there, or choose another with --port"
    )
    if wishes.demo:
        require_free_port(
            HOST,
            settings.EXAMPLE_PORT,
            mend="stop what listens there, or set EXAMPLE_PORT to another",
        )


def with_demo_data(installation: Installation) -> Installation:
    example = demo.ensure_example(f"http://{HOST}:{settings.EXAMPLE_PORT}")
    people = demo.ensure_people()
    return replace(
        installation,
        example=example,
        people=len(people),
        operations=mandates.ensure_mandates(people),
    )


def shown_demo(installation: Installation) -> str:
    if installation.example is None:
        return "none"
    return f"{installation.people} people, {installation.operations} operations"


def shown_password(administrator: Administrator) -> str:
    if administrator.password:
        return f"{administrator.password}   (shown once)"
    return f"as before (new one: manage.py changepassword {preparation.ADMINISTRATOR})"


def run(installation: Installation, wishes: Wishes, output: Output) -> None:
    """Start everything, show the main job, and stay until Ctrl-C or until a process dies."""
    logs = settings.DATA_DIR / "logs"
    output.line("… starting the servers")
    with Supervisor(folder=settings.BASE_DIR, logs=logs) as supervisor:
        supervisor.start(processes.web_server(wishes.port))
        supervisor.start(processes.worker())
        if installation.example is not None:
            supervisor.start(processes.savings_example(installation.example))
        supervisor.wait_for(f"http://{HOST}:{wishes.port}/readyz")
        if installation.example is not None:
            supervisor.wait_for(f"{installation.example.url}/healthz")
            show_main_job(installation.example, supervisor, output)
        output.heading("Running. Ctrl-C stops everything")
        for line in what_next(installation):
            output.line(line)
        supervisor.watch()


def show_main_job(example: Example, supervisor: Supervisor, output: Output) -> None:
    output.heading("The main job: a token for fifteen minutes, work for later")
    with httpx.Client(timeout=WALK_TIMEOUT, trust_env=False) as http:
        Walk(
            issuer=settings.ISSUER_URL,
            example=example,
            other=mandates.any_waiting().public_id,
            http=http,
            output=output,
            alive=supervisor.check,
        ).perform()
    connection.close()


def what_next(installation: Installation) -> Iterator[str]:
    at = addresses()
    yield f"  Look around   {at['admin']} as {preparation.ADMINISTRATOR}"
    if installation.example is not None:
        yield f"  Use the API   {at['docs']} as {DEMO_USERNAME}, password {DEMO_PASSWORD}"
        yield f"  The bank      {installation.example.url}/executor/transfers"
        yield "  By hand       README.md has the same flow as curl lines"
    if "PORT" in os.environ:
        yield f"  Commands      manage.py with PORT={settings.PORT}: addresses follow from it"
    yield f"  Logs          {settings.DATA_DIR / 'logs'}"
