"""Who has rights here was given them by somebody who knew them: no link has to show it again."""

from typing import Any

from django.db import migrations
from django.db.models import F, Q


def note_staff_as_verified(apps: Any, schema_editor: Any) -> None:
    people = apps.get_model("accounts", "User").objects.using(schema_editor.connection.alias)
    staff = people.filter(Q(is_staff=True) | Q(is_superuser=True), email_verified_at=None)
    staff.update(email_verified_at=F("date_joined"))


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_people_and_machines")]

    operations = [migrations.RunPython(note_staff_as_verified, migrations.RunPython.noop)]
