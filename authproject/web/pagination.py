"""Pages of long lists: `{"results", "next", "previous"}`, by cursor, newest first."""

import base64
import re
from typing import Any, NoReturn

from django.core.exceptions import ValidationError as ModelValidationError
from django.db.models import Model
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.views import APIView

_SIZE = re.compile("[1-9][0-9]{0,3}")
_CURSOR = re.compile("(?:o=[0-9]{1,4}&?)?(?:r=1&?)?(?:p=(?P<position>[0-9a-f-]{1,36}))?")


class CursorPages(CursorPagination):
    """Page by primary key: UUIDv7 keys are in order of creation and never tie.

    DRF would ignore what is no size, and fail on a cursor whose position is no key.
    """

    ordering = "-id"
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 100

    def paginate_queryset(
        self, queryset: Any, request: Request, view: APIView | None = None
    ) -> list[Any] | None:
        """Return one page. Raises ValidationError for a cursor that this list never gave."""
        try:
            _check_cursor(request.query_params.get("cursor"), queryset.model)
        except (ValueError, ModelValidationError):
            _refuse("cursor", "It is not a cursor of this list.")
        return super().paginate_queryset(queryset, request, view)

    def get_page_size(self, request: Request) -> int:
        """Return how many results a page has. Raises ValidationError."""
        given = request.query_params.get("page_size", str(self.page_size))
        if not _SIZE.fullmatch(given) or int(given) > self.max_page_size:
            _refuse("page_size", f"A number from 1 to {self.max_page_size}.")
        return int(given)

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        """Describe both parameters, and the bounds of the size."""
        parameters: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        size = next(each for each in parameters if each["name"] == self.page_size_query_param)
        size["schema"] |= {"minimum": 1, "maximum": self.max_page_size, "default": self.page_size}
        return parameters


def _check_cursor(given: str | None, model: type[Model]) -> None:
    """Raise ValueError or Django's ValidationError unless DRF could have written this cursor."""
    if given is None:
        return
    written = _CURSOR.fullmatch(base64.b64decode(given, validate=True).decode())
    if not given or written is None:
        raise ValueError("not a cursor")
    if written["position"] is not None:
        model._meta.pk.to_python(written["position"])


def _refuse(parameter: str, why: str) -> NoReturn:
    raise ValidationError({parameter: [why]})
