"""PostgreSQL: no link leaves its profile, and searching has an index."""

from django.db import migrations

from profiles.schema import LinkWithinProfile
from segments.search_index import TrigramIndex

FILES = ("original", "poster", "filmstrip", "waveform", "proxy")


class Migration(migrations.Migration):
    dependencies = [("segments", "0001_initial")]

    operations = [
        *(LinkWithinProfile("segments", "sourcevideo", name) for name in FILES),
        LinkWithinProfile("segments", "segment", "source"),
        LinkWithinProfile("segments", "segment", "extracted"),
        LinkWithinProfile("segments", "segmentlabel", "segment"),
        TrigramIndex("segments", "sourcevideo", "sourcevideo_search"),
        TrigramIndex("segments", "segment", "segment_search"),
    ]
