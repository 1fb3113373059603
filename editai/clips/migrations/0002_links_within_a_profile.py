"""Links between tenant rows stay within one profile, on PostgreSQL by composite keys."""

from django.db import migrations

from profiles.schema import LinkWithinProfile


class Migration(migrations.Migration):
    dependencies = [("clips", "0001_initial")]

    operations = [
        LinkWithinProfile("clips", "clip", "project"),
        LinkWithinProfile("clips", "clip", "file"),
        LinkWithinProfile("clips", "clip", "poster"),
        LinkWithinProfile("clips", "clip", "job"),
    ]
