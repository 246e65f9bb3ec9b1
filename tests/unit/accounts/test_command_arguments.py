"""What commands are given at the shell, before any of it is understood."""

import pytest
from django.core.management import load_command_class

from accounts.management.base import Exit


@pytest.mark.parametrize(
    "argv", [["retire_key", "\udcff"], ["retire_key", "kid", "--reason", "\udcff"]]
)
def test_bytes_that_are_no_text_are_a_usage_error(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        load_command_class("authproject", argv[0]).run_from_argv(["manage.py", *argv])

    assert ended.value.code == Exit.USAGE
    assert "UTF-8" in capsys.readouterr().err
