"""Columns that rest sealed: which rows still need a key that is not the first one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.models.functions import Substr

from accounts.crypto import sealed_prefix


@dataclass(frozen=True)
class SealedColumn:
    """One column of one table.  context: what a row's value is sealed for."""

    name: str
    rows: models.QuerySet[Any]
    field: str
    context: Callable[[Any], str]

    def outdated(self) -> models.QuerySet[Any]:
        """Keep rows whose value the first key has not sealed."""
        prefix = sealed_prefix()
        begins = Substr(self.field, 1, len(prefix), output_field=models.BinaryField())
        filled = self.rows.exclude(**{self.field: None}).exclude(**{self.field: b""})
        outdated: models.QuerySet[Any] = filled.annotate(seal_begins=begins).exclude(
            seal_begins=prefix
        )
        return outdated
