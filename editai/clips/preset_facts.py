"""The presets that everybody starts with, written wherever they are missing after a migration.

The networks' limits were collected in November 2026 and are facts of that time; rows that exist are left as they are,
for a superuser may have corrected them. Where sources disagree the safe value counts, and `note` says so.
"""

from datetime import date
from typing import Any

from django.apps import apps as global_apps

CHECKED_ON = date(2026, 11, 1)
MB = 1_000_000
PRESETS: list[dict[str, Any]] = [
    {
        "slug": "tiktok",
        "name": "TikTok",
        "network": "tiktok",
        "min_seconds": 3,
        "max_seconds": 600,
        # 4 GB by docs.emplifi.io and docs.getlate.dev; 1 or 10 GB by ayrshare.com
        "max_bytes": 1_000 * MB,
        "source": "ayrshare.com/docs/media-guidelines, docs.emplifi.io (tiktok-publishing)",
        "note": "The real maximum length is the account's own; sources give 1, 4 or 10 GB as the largest file.",
    },
    {
        "slug": "instagram-reels",
        "name": "Instagram Reels",
        "network": "instagram",
        "min_seconds": 3,
        "max_seconds": 900,
        # 300 MB on Meta's English page, 1 GB in newer translations of it
        "max_bytes": 300 * MB,
        "source": "ayrshare.com/docs/media-guidelines",
        "note": "Sources give 300 MB or 1 GB as the largest file.",
    },
    {
        "slug": "youtube-shorts",
        "name": "YouTube Shorts",
        "network": "youtube",
        "max_seconds": 180,
        "max_bytes": 256_000 * MB,
        "source": "support.google.com/youtube/answer/15424877, developers.google.com/youtube (videos.insert)",
        "note": "Over 60 s with an active Content ID claim a Short is blocked everywhere.",
    },
    {
        "slug": "facebook-reels",
        "name": "Facebook Reels",
        "network": "facebook",
        "min_seconds": 3,
        "max_seconds": 90,
        "max_bytes": 1_000 * MB,
        "source": "developers.facebook.com (video-api, reels-publishing)",
        "note": "The app lifted the 90 s in June 2025, the API's page has them still. File size: a safe value.",
    },
    {
        "slug": "instagram-story",
        "name": "Instagram Story",
        "network": "instagram",
        "min_seconds": 3,
        "max_seconds": 60,
        "max_bytes": 100 * MB,
        "source": "Metricool help: Scheduling and posting options by network",
        "note": "60 s as a story; shortest length and file size are safe values, not found stated.",
    },
]


def seed(*, using: str, apps: Any = global_apps, **_: Any) -> None:
    """Receiver of `post_migrate`, in whatever state of the schema that leaves; `flush` sends it too, without apps."""
    try:
        presets = apps.get_model("clips", "ExportPreset").objects.using(using)
    except LookupError:  # migrated back to before there were presets
        return
    known = set(presets.values_list("slug", flat=True))
    for position, row in enumerate(PRESETS, start=1):
        if row["slug"] not in known:
            presets.create(**row, position=position, checked_on=CHECKED_ON)
