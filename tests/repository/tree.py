"""The repository's own files, as git lists them."""

import subprocess

from django.conf import settings


def tracked(*patterns: str) -> list[str]:
    """Return the tracked paths that match git's patterns."""
    listed = subprocess.check_output(
        ["git", "ls-files", "-z", "--", *patterns], cwd=settings.BASE_DIR, text=True
    )
    return [path for path in listed.split("\0") if path and (settings.BASE_DIR / path).exists()]


def text(path: str) -> str:
    """Return the content of a tracked file, "" for what is not text."""
    try:
        return (settings.BASE_DIR / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""
