"""Pages of long lists: `{"results", "next", "previous"}`, by cursor, newest first."""

from rest_framework.pagination import CursorPagination


class CursorPages(CursorPagination):
    """Page by primary key: UUIDv7 keys are in order of creation and never tie."""

    ordering = "-id"
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 100
