"""Browser sessions in the database, which knows of a session's key its digest alone.

Whoever reads the table, or a copy of it, can open no browser's session.  Django finds this module
by SESSION_ENGINE, and the class by its name.
"""

from typing import Any

from django.contrib.sessions.backends import db
from django.contrib.sessions.base_session import AbstractBaseSession
from django.contrib.sessions.models import Session
from django.utils import timezone

from accounts.crypto import secret_digest

KEY_LENGTH = 40  # of Django's column: 160 bits of the digest


def key_digest(session_key: str) -> str:
    """Name the row of a session's key."""
    return secret_digest(session_key)[:KEY_LENGTH]


class SessionStore(db.SessionStore):
    """Django's own, save that every statement has the digest for the key."""

    def exists(self, session_key: str) -> bool:
        return super().exists(key_digest(session_key))

    async def aexists(self, session_key: str) -> bool:
        return bool(await super().aexists(key_digest(session_key)))

    def create_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        row = super().create_model_instance(data)
        row.session_key = key_digest(row.session_key)
        return row

    async def acreate_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        row = await super().acreate_model_instance(data)
        row.session_key = key_digest(row.session_key)
        return row

    def delete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key is not None:
            super().delete(key_digest(key))

    async def adelete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key is not None:
            await super().adelete(key_digest(key))

    def _get_session_from_db(self) -> Session | None:
        return self._known(Session.objects.filter(**self._now_open()).first())

    async def _aget_session_from_db(self) -> Session | None:
        return self._known(await Session.objects.filter(**self._now_open()).afirst())

    def _now_open(self) -> dict[str, Any]:
        key = self.session_key or ""
        return {"session_key": key_digest(key), "expire_date__gt": timezone.now()}

    def _known(self, row: Session | None) -> Session | None:
        """Let a key that opens nothing be forgotten: a browser may not choose its own."""
        if row is None:
            self._session_key = None
        return row
