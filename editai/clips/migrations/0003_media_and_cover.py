"""What a clip's file is, and the still that networks show for it."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

from profiles.schema import LinkWithinProfile


class Migration(migrations.Migration):
    dependencies = [
        ("clips", "0002_links_within_a_profile"),
        ("profiles", "0002_default_profile_is_a_membership"),
    ]

    operations = [
        migrations.AddField("clip", "media", models.JSONField(editable=False, null=True)),
        migrations.AddField(
            "clip",
            "cover",
            models.ForeignKey(
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="profiles.storedfile",
            ),
        ),
        migrations.AddField(
            "clip",
            "cover_source",
            models.CharField(
                blank=True,
                choices=[("frame", "A picture of the clip"), ("image", "An uploaded picture")],
                default="",
                editable=False,
                max_length=5,
            ),
        ),
        migrations.AddField(
            "clip",
            "cover_at_seconds",
            models.FloatField(editable=False, help_text="Of a picture of the clip: when.", null=True),
        ),
        migrations.AddConstraint(
            "clip",
            models.CheckConstraint(
                condition=Q(cover__isnull=True, cover_source="", cover_at_seconds__isnull=True)
                | Q(cover__isnull=False, cover_source="image", cover_at_seconds__isnull=True)
                | Q(cover__isnull=False, cover_source="frame", cover_at_seconds__gte=0),
                name="clip_cover_says_where_it_is_from",
            ),
        ),
        LinkWithinProfile("clips", "clip", "cover"),
    ]
