"""Run all measurements, `python -m benchmarks`, on a real PostgreSQL that is found or started."""

import os

from rich.console import Console
from rich.table import Table

from tests.postgres import postgres


def main() -> None:
    """Print one table with the ratio of each pair."""
    console = Console()
    with postgres() as url:
        os.environ["TEST_DATABASE_URL"] = url
        import tests.environment  # noqa: F401, PLC0415 - it enters as it is imported, with the address

        os.environ["DJANGO_SETTINGS_MODULE"] = "authproject.settings"
        import django  # noqa: PLC0415 - the environment comes first

        django.setup()
        from benchmarks import issues, redemptions  # noqa: PLC0415 - they need the settings

        for callers in redemptions.CALLERS:
            single, batch = redemptions.measure(callers)
            table = Table(
                f"redemption, {callers} at once", "count", "a second", "µs of processor each"
            )
            for each in (single, batch):
                table.add_row(*each.row())
            console.print(table)
            console.print(f"A batch redeems {batch.rate / single.rate:.1f} times as many a second.")

        by_hand, *in_bulk = issues.measure(int(os.environ.get("BENCH_TOKENS", "100000")))
        table = Table("issue", "count", "a second", "µs of processor each")
        for issued in (by_hand, *in_bulk):
            table.add_row(*issued.row())
        console.print(table)
        for issued in in_bulk:
            ratio, saved = issued.rate / by_hand.rate, by_hand.processor / issued.processor
            console.print(f"{issued.name}: {ratio:.2f} times as fast, by processor {saved:.2f}.")


if __name__ == "__main__":
    main()
