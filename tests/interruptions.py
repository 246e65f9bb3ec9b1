"""Whoever changes many operations is interrupted between two batches."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from batchtokens.services.mandates import change_operations


@contextmanager
def interrupted_in_the_third_batch(patch: pytest.MonkeyPatch, *, size: int) -> Iterator[None]:
    """Let two batches of `size` pass, then press Ctrl-C; the size stays until the test ends."""
    real, calls = change_operations._change, iter(range(3))
    patch.setattr(change_operations, "BATCH", size)

    def interrupted(*given: Any) -> Any:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return real(*given)

    with patch.context() as within:
        within.setattr(change_operations, "_change", interrupted)
        with pytest.raises(KeyboardInterrupt):
            yield
