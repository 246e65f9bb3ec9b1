"""A column that holds another one folded, so that names which look alike are one name."""

import unicodedata
from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    TextField = models.CharField[str, str]
else:
    TextField = models.CharField  # generic in its type stubs only


def nfkc(text: str) -> str:
    """Normalise to Unicode NFKC."""
    return unicodedata.normalize("NFKC", text)


def fold(text: str) -> str:
    """Fold case and compatibility forms (Unicode 3.13, toNFKC_Casefold without removals)."""
    return nfkc(nfkc(text).casefold())


class FoldedField(TextField):
    """The folded text of the field named `source`; values to compare with are folded too.

    It is written whenever the row is saved, also by bulk_create; never set it by hand.
    """

    def __init__(self, *, source: str, **options: Any) -> None:
        self.source = source
        super().__init__(editable=False, **options)

    def deconstruct(self) -> Any:
        """Describe the field to migrations."""
        name, path, args, options = super().deconstruct()
        options.pop("editable", None)
        return name, path, args, options | {"source": self.source}

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        """Fold the source at each save."""
        folded = fold(getattr(model_instance, self.source))
        setattr(model_instance, self.attname, folded)
        return folded

    def get_prep_value(self, value: Any) -> Any:
        """Fold what a query compares with."""
        prepared = super().get_prep_value(value)
        return fold(prepared) if isinstance(prepared, str) else prepared
