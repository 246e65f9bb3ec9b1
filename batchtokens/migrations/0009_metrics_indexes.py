"""Index what is reserved and what is dead, so that metrics count them without reading the rest."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [
        ("batchtokens", "0008_ledger_by_day"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="queuedrun",
            index=models.Index(
                fields=["finished_at"], condition=Q(state="dead"), name="queued_run_dead"
            ),
        ),
        migrations.AddIndex(
            model_name="redemption",
            index=models.Index(
                fields=["lease_expires_at"],
                condition=Q(status="reserved"),
                name="redemption_leases",
            ),
        ),
    ]
