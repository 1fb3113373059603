"""Links between tenant rows stay within one profile, on PostgreSQL by composite keys."""

from django.db import migrations

from profiles.schema import LinkWithinProfile


class Migration(migrations.Migration):
    dependencies = [("publishing", "0001_initial")]

    operations = [
        LinkWithinProfile("publishing", "slot", "integration"),
        LinkWithinProfile("publishing", "captionset", "hashtags"),
        LinkWithinProfile("publishing", "publication", "clip"),
        LinkWithinProfile("publishing", "publication", "integration"),
        LinkWithinProfile("publishing", "publication", "batch"),
        LinkWithinProfile("publishing", "publication", "repost_of"),
        LinkWithinProfile("publishing", "publication", "file"),
        LinkWithinProfile("publishing", "publication", "cover"),
        LinkWithinProfile("publishing", "publicationevent", "publication"),
        LinkWithinProfile("publishing", "outboxitem", "publication"),
        LinkWithinProfile("publishing", "outboxitem", "file"),
        LinkWithinProfile("publishing", "outboxitem", "cover"),
        LinkWithinProfile("publishing", "reviewlink", "clip"),
        LinkWithinProfile("publishing", "decision", "publication"),
        LinkWithinProfile("publishing", "decision", "link"),
        LinkWithinProfile("publishing", "rendition", "clip"),
        LinkWithinProfile("publishing", "rendition", "file"),
    ]
