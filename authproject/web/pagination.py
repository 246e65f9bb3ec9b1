"""Pages of long lists: `{"results", "next", "previous"}`, by cursor, newest first."""

import re
from typing import Any, NoReturn

from django.core.exceptions import ValidationError as ModelValidationError
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.views import APIView

_SIZE = re.compile("[1-9][0-9]{0,3}")


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
            cursor = self.decode_cursor(request)
            if cursor is not None and cursor.position is not None:
                queryset.model._meta.pk.to_python(cursor.position)
        except (NotFound, ModelValidationError):
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


def _refuse(parameter: str, why: str) -> NoReturn:
    raise ValidationError({parameter: [why]})
