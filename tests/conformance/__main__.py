"""Write the vectors of docs/vectors/, or with --check say which would be written otherwise."""

import sys

from tests.conformance.files import FILES, as_written
from tests.conformance.vectors import FOLDER


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python -m tests.conformance [--check]\n")
        return 2
    if arguments:
        return check()
    FOLDER.mkdir(exist_ok=True)
    for name in FILES:
        (FOLDER / f"{name}.json").write_text(as_written(name), encoding="utf-8")
    return 0


def check() -> int:
    """Compare everything, signatures too: they are deterministic (RFC 6979)."""
    stale = [name for name in FILES if _found(name) != as_written(name)]
    for name in stale:
        sys.stderr.write(f"docs/vectors/{name}.json is not current\n")
    return 1 if stale else 0


def _found(name: str) -> str:
    path = FOLDER / f"{name}.json"
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
