"""The one loader of the published vectors, theirs and ours."""

import json
from pathlib import Path
from typing import Any

import pytest

VECTORS = Path(__file__).parents[2] / "vectors"


def load(name: str) -> dict[str, Any]:
    """Return the vector file `name`; its `comment` says where its values come from."""
    document: dict[str, Any] = json.loads((VECTORS / f"{name}.json").read_text("utf-8"))
    return document


def cases(name: str, section: str) -> list[Any]:
    """Return one section of a vector file as parameters for pytest, with names where it has any."""
    return [
        pytest.param(vector, id=vector.get("name", str(index)))
        for index, vector in enumerate(load(name)[section])
    ]
