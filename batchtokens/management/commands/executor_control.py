"""Show and set an executor's caps, stop it, and start it again: the breaker is closed by staff."""

from typing import Any

from django.core.management import CommandParser

from accounts.management.base import ProductCommand, UsageError
from accounts.management.named import client_named
from accounts.models import ServiceClient
from batchtokens.models import ExecutorControl
from batchtokens.services.stop_executor import Caps, set_caps, start_executor, stop_executor

VERBS = ("show", "set-caps", "stop", "start")
CAPS = ("max_count_minute", "max_count_day", "max_minor_minute", "max_minor_day")


class Command(ProductCommand):
    """One executor, one verb."""

    help = "Show, cap, stop and start an executor."
    lists = True

    def add_options(self, parser: CommandParser) -> None:
        """Declare the verb, whose it is, and the caps; a cap that is left out is taken away."""
        parser.add_argument("verb", choices=VERBS)
        parser.add_argument("name", help="the executor's name")
        parser.add_argument("--reason", default="", help="why; kept in the audit trail")
        for name in CAPS:
            parser.add_argument(f"--{name.replace('_', '-')}", type=int, help="for set-caps")
        parser.add_argument("--currency", default="", help="of the caps in minor units")

    def handle(self, *args: Any, verb: str, name: str, reason: str, **options: Any) -> None:
        """Do it, and print what holds now."""
        executor = client_named(name)
        if verb != "show":
            if not reason.strip():
                raise UsageError("Say why: --reason.")
            _change(executor, verb, reason.strip(), options)
        control = ExecutorControl.objects.filter(executor=executor).first()
        self.emit_one(_row(executor, control or ExecutorControl(executor=executor)))


def _change(executor: ServiceClient, verb: str, reason: str, options: dict[str, Any]) -> None:
    match verb:
        case "stop":
            stop_executor(executor=executor, reason=reason)
        case "start":
            start_executor(executor=executor, reason=reason)
        case _:
            caps = Caps(currency=options["currency"], **{name: options[name] for name in CAPS})
            set_caps(executor=executor, caps=caps, reason=reason)


def _row(executor: ServiceClient, control: ExecutorControl) -> dict[str, Any]:
    return {
        "id": executor.client_id,
        "stopped_at": control.stopped_at,
        "stopped_by": control.stopped_by,
        "reason": control.reason,
        **{name: getattr(control, name) for name in CAPS},
        "currency": control.currency,
    }
