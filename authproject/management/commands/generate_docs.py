"""Write the documents that are lists of what the code knows."""

from typing import Any

from django.conf import settings
from django.core.management import CommandParser

from accounts.management.base import Findings, ProductCommand
from authproject.management.documents import DOCUMENTS


class Command(ProductCommand):
    """Write the documents, or with --check only compare them."""

    help = "Write the documents that are lists of what the code knows."

    def add_options(self, parser: CommandParser) -> None:
        """Declare --check."""
        parser.add_argument("--check", action="store_true", help="exit 6 when one is out of date")

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        """Write or compare each document."""
        stale = []
        for name, write in DOCUMENTS.items():
            path = settings.BASE_DIR / name
            text = write()
            if path.exists() and path.read_text(encoding="utf-8") == text:
                continue
            stale.append(name)
            if not check:
                path.write_text(text, encoding="utf-8")
        if stale and check:
            raise Findings(f"Out of date: {', '.join(stale)}. Run manage.py generate_docs.")
        self.say(f"{len(stale)} written." if stale else "All documents are current.")
