"""What trimming leaves of an entry is kept with it, so that lists of projects can add it up."""

from typing import Any

from django.db import migrations, models
from django.db.models import Q

from segments.media_info import FrameIndex


def measure(apps: Any, schema_editor: Any) -> None:
    """Measures the entries that are there, as `editai.projects.timeline` does."""
    entries = apps.get_model("projects", "ProjectSegment")._base_manager.using(schema_editor.connection.alias)
    trimmed = entries.filter(Q(trim_start__gt=0) | Q(trim_end__gt=0), segment__source__frame_index__isnull=False)
    for entry in trimmed.select_related("segment__source").iterator(chunk_size=100):
        segment = entry.segment
        frames = FrameIndex.from_bytes(bytes(segment.source.frame_index))
        start, end = segment.start_time + entry.trim_start, segment.end_time - entry.trim_end
        seconds = 0.0
        if start < end:
            first, last = frames.span(start, end)
            first = max(first, segment.first_frame)
            last = min(max(last, first + 1), segment.end_frame)
            seconds = max(0.0, frames.time(last) - frames.time(first)) if first < last else 0.0
        entries.filter(pk=entry.pk).update(trimmed_seconds=seconds)


class Migration(migrations.Migration):
    dependencies = [("projects", "0002_links_within_a_profile"), ("segments", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="projectsegment",
            name="trimmed_seconds",
            field=models.FloatField(
                editable=False,
                help_text="What trimming leaves, on the source's frames; null: nothing is trimmed.",
                null=True,
            ),
        ),
        migrations.RunPython(measure, migrations.RunPython.noop),
    ]
