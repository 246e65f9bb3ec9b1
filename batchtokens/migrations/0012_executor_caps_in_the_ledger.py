"""Let the ledger tell what an executor may redeem at most."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("batchtokens", "0011_watch_and_vouch"),
    ]

    operations = [
        migrations.AlterField(
            model_name="ledgerentry",
            name="kind",
            field=models.CharField(
                choices=[
                    ("issued", "Issued"),
                    ("reserved", "Reserved"),
                    ("settled", "Settled"),
                    ("released", "Released"),
                    ("held", "Held"),
                    ("resumed", "Resumed"),
                    ("cancelled", "Cancelled"),
                    ("lowered", "Lowered"),
                    ("disowned", "Disowned"),
                    ("reissued", "Reissued"),
                    ("key_added", "Key Added"),
                    ("key_retired", "Key Retired"),
                    ("key_compromised", "Key Compromised"),
                    ("executor_stopped", "Executor Stopped"),
                    ("executor_started", "Executor Started"),
                    ("executor_capped", "Executor Capped"),
                    ("type_stopped", "Type Stopped"),
                    ("type_started", "Type Started"),
                    ("reconciled", "Reconciled"),
                ],
                max_length=24,
            ),
        ),
    ]
