"""Refuse changes to what is insert-only, by triggers."""

from django.db import migrations

from batchtokens.migrations import _guards


class Migration(migrations.Migration):
    dependencies = [
        ("batchtokens", "0004_signed_claims"),
    ]

    operations = [
        migrations.RunPython(_guards.install, _guards.remove),
    ]
