"""Index the ledger by its instants: a day's account and the admin read a span of them."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("batchtokens", "0007_keys_end_by_their_tokens"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="ledgerentry",
            index=models.Index(fields=["at"], name="ledger_entry_at"),
        ),
    ]
