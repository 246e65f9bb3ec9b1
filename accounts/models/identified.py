"""The base of every row that the outside can name."""

from typing import ClassVar

from django.db import models

from accounts.ids import new_id, public_id


class IdentifiedModel(models.Model):
    """A row with a UUIDv7 key and a typed public id."""

    public_prefix: ClassVar[str]

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)

    class Meta:
        abstract = True

    @property
    def public_id(self) -> str:
        """The id as the outside sees it, for example `usr_0190…`."""
        return public_id(self.public_prefix, self.id)
