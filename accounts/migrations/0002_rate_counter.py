"""The counters of volume limits."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="RateCounter",
            fields=[
                ("key", models.CharField(max_length=250, primary_key=True, serialize=False)),
                ("value", models.BigIntegerField()),
                ("expires_at", models.BigIntegerField()),
            ],
            options={
                "indexes": [models.Index(fields=["expires_at"], name="rate_counter_expires_at")],
            },
        ),
    ]
