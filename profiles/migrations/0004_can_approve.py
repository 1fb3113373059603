from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("profiles", "0003_deleting_since")]

    operations = [
        migrations.AddField(
            model_name="membership",
            name="can_approve",
            field=models.BooleanField(
                default=False,
                help_text="May approve what is to be published, whatever the role. Owners always may.",
            ),
        ),
    ]
