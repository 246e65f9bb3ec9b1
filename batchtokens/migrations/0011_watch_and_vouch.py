"""Remember when to look for missed runs again, and vouch for what was confirmed."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("batchtokens", "0010_lost_chains"),
    ]

    operations = [
        migrations.AddField(
            model_name="operationtoken",
            name="next_close_at",
            field=models.DateTimeField(
                help_text="When to look for missed runs again; empty: nobody has looked yet.",
                null=True,
            ),
        ),
        migrations.AddIndex(
            model_name="operationtoken",
            index=models.Index(fields=["next_close_at"], name="operation_token_next_close"),
        ),
        migrations.AddField(
            model_name="consent",
            name="confirmation_mac",
            field=models.BinaryField(
                help_text="The authority's own word that just this was confirmed.", null=True
            ),
        ),
    ]
