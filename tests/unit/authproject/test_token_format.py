"""The normative page shows the published vectors, and no example that is not one."""

import json
import re

import pytest
from django.conf import settings

from authproject.management.token_format import PAGE, token_format_document
from tests.conformance.files import FILES
from tests.conformance.vectors import FOLDER

TEXT = (settings.BASE_DIR / PAGE).read_text("utf-8")


def test_page_is_as_its_vectors_are() -> None:
    assert token_format_document() == TEXT


@pytest.mark.parametrize("name", FILES)
def test_page_lists_each_verdict(name: str) -> None:
    vectors = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))["vectors"]
    codes = [f"| {one['name']} | `{one['code']}` |" for one in vectors if one["code"]]

    assert [line for line in codes if line not in TEXT] == []


def test_every_example_is_a_vector() -> None:
    regions = re.sub(r"<!-- vector: .*?<!-- end -->", "", TEXT, flags=re.DOTALL)

    assert "```" not in regions
