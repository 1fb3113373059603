"""When a profile was deleted: its erasure waits for what must be taken back first, but not for ever."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("profiles", "0002_default_profile_is_a_membership")]

    operations = [
        migrations.AddField("profile", "deleting_since", models.DateTimeField(editable=False, null=True)),
    ]
