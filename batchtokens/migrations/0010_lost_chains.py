"""Let the ledger hold chains of tokens whose rows a restored database has lost."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

from batchtokens.migrations import _guards


class Migration(migrations.Migration):
    dependencies = [
        ("batchtokens", "0009_metrics_indexes"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="ledgerentry", name="ledger_entry_authority_no_fork"
        ),
        migrations.AddField(
            model_name="ledgerentry",
            name="lost_token",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="The hash of a token whose row a restored database has lost.",
                max_length=43,
            ),
        ),
        migrations.AlterField(
            model_name="ledgerentry",
            name="operation_token",
            field=models.ForeignKey(
                help_text="Empty: the authority's own chain, or a lost token's.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="ledger_entries",
                to="batchtokens.operationtoken",
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgerentry",
            constraint=models.UniqueConstraint(
                condition=Q(operation_token=None, lost_token=""),
                fields=("seq",),
                name="ledger_entry_authority_no_fork",
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgerentry",
            constraint=models.UniqueConstraint(
                condition=~Q(lost_token=""),
                fields=("lost_token", "seq"),
                name="ledger_entry_lost_no_fork",
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgerentry",
            constraint=models.CheckConstraint(
                condition=Q(operation_token=None) | Q(lost_token=""),
                name="ledger_entry_one_chain",
            ),
        ),
        # SQLite has built the table anew, without its triggers.
        migrations.RunPython(_guards.install, _guards.remove),
    ]
