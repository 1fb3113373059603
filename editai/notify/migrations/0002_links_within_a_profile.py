"""Links between tenant rows stay within one profile, on PostgreSQL by composite keys."""

from django.db import migrations

from profiles.schema import LinkWithinProfile


class Migration(migrations.Migration):
    dependencies = [("notify", "0001_initial")]

    operations = [
        LinkWithinProfile("notify", "delivery", "notification"),
        LinkWithinProfile("notify", "delivery", "target"),
    ]
