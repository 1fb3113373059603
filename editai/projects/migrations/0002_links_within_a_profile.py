"""Links between tenant rows stay within one profile, on PostgreSQL by composite keys."""

from django.db import migrations

from profiles.schema import LinkWithinProfile


class Migration(migrations.Migration):
    dependencies = [("projects", "0001_initial")]

    operations = [
        LinkWithinProfile("projects", "projectsegment", "project"),
        LinkWithinProfile("projects", "projectsegment", "segment"),
    ]
