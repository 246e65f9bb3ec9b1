"""What migrations do to rows that are there."""

import importlib
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection

from accounts.models import User
from tests import factories

verify_staff = importlib.import_module("accounts.migrations.0004_staff_are_verified")


@pytest.mark.django_db
def test_staff_of_before_need_no_link() -> None:
    factories.staff()
    factories.alice()
    User.objects.update(email_verified_at=None)

    verify_staff.note_staff_as_verified(apps, SimpleNamespace(connection=connection))

    verified = User.objects.exclude(email_verified_at=None)
    assert [user.username for user in verified] == ["staff"]
