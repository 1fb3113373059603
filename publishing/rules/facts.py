"""What the networks want, as facts of a day; written to `NetworkRule` after every migration.

Networks are named as Postiz names them. `EVERY` holds what counts for all of them, also for those that we know nothing
about; a network's own row of the same kind takes its place. Where sources disagree, or none was found, the safe value
counts and the certainty says so. Rows that were changed or added in the admin are left alone; all others
follow this file.
"""

from datetime import date
from typing import Any

from django.apps import apps as global_apps

from publishing.models.accounts import OUTBOX

CHECKED_ON = date(2026, 11, 1)
EVERY = "every"
NAMES = {
    "tiktok": "TikTok",
    "tiktok-business": "TikTok Business",
    "instagram": "Instagram",
    "instagram-standalone": "Instagram (its own login)",
    "youtube": "YouTube",
    "facebook": "Facebook",
    "x": "X",
    "linkedin": "LinkedIn",
    "linkedin-page": "LinkedIn Page",
    "threads": "Threads",
    "pinterest": "Pinterest",
    "bluesky": "Bluesky",
    "reddit": "Reddit",
    "mastodon": "Mastodon",
    "telegram": "Telegram",
    "discord": "Discord",
}
NETWORKS = tuple(NAMES)


def name_of(network: str) -> str:
    """A network's name for people to read; one we know nothing of nearly as Postiz names it."""
    return "Local outbox" if network == OUTBOX else NAMES.get(network, network.capitalize())


MB = 1_000_000
SURE, LIKELY, DOUBTFUL = "sure", "likely", "doubtful"

_AYRSHARE = "ayrshare.com/docs/media-guidelines"
_POSTIZ = "github.com/gitroomhq/postiz-app, its providers and DTOs (74b01ad)"
_UPLOAD = "github.com/gitroomhq/postiz-app, its upload (v2.23.0)"
_EMPLIFI = "docs.emplifi.io (tiktok-publishing)"
_LATE = "docs.getlate.dev (media-guidelines)"
_REELS = "developers.facebook.com (video-api, reels-publishing)"
_METRICOOL = "Metricool help: Scheduling and posting options by network"
_X = "github.com/xdevplatform/docs, best-practices.mdx (0c986f0)"
_PINTEREST = "help.pinterest.com (pinterest-product-specs)"
_THREADS = "ayrshare.com/docs/media-guidelines/threads"
_SHORTS = "support.google.com/youtube/answer/15424877"
_YT_ENCODING = "support.google.com/youtube/answer/1722171"
_HASHTAGS = "socialsamosa.com (2025-12-19), zeenews (2025-12-20)"
_OWN = "EditAI's safe master"
_PLATFORM = "Common knowledge of the network, unchecked"

Fact = dict[str, Any]


def _fact(
    rule: str, value: Any, source: str, certainty: str = LIKELY, note: str = "", *, is_advice: bool = False
) -> Fact:
    return {
        "rule": rule,
        "value": value,
        "source": source,
        "certainty": certainty,
        "note": note,
        "is_advice": is_advice,
        "checked_on": CHECKED_ON,
    }


def _safe(rule: str, value: Any, *, is_advice: bool = True, note: str = "Nothing found stated: a safe value.") -> Fact:
    return _fact(rule, value, _OWN, DOUBTFUL, note, is_advice=is_advice)


_EVERY = [
    _fact("upload_containers", ["mp4"], _UPLOAD, SURE, "MOV, WebM and M4V are refused."),
    _fact("upload_max_bytes", 2**30, _UPLOAD, SURE, "A proxy may allow less (Cloudflare's free plan 100 MB)."),
    _safe("min_seconds", 3),
    _safe("max_seconds", 60),
    _safe("max_bytes", 300 * MB),
    _safe("video_codecs", ["h264"], is_advice=False),
    _safe("pix_fmts", ["yuv420p"], is_advice=False),
    _safe("min_fps", 23),
    _safe("max_fps", 60),
    _safe("max_video_bitrate", 15_000_000),
    _safe("audio_codecs", ["aac"], is_advice=False),
    _safe("max_audio_rate", 48_000),
    _safe("min_audio_rate", 44_100),
    _safe("audio_channels", 2),
    _safe("faststart", True, note="Playback begins before all is loaded."),
    _safe("min_lufs", -15, note="-14 LUFS, give or take one."),
    _safe("max_lufs", -13, note="-14 LUFS, give or take one."),
    _safe("max_peak", -1),
    _safe("safe_zone", [270, 130, 420, 65], note="Nobody official publishes stable pixels: look at a phone."),
]  # fmt: skip

_TIKTOK = [
    _fact("min_side", 360, _AYRSHARE),
    _fact("max_side", 4096, _AYRSHARE),
    _fact("aspects", ["9:16"], _AYRSHARE, is_advice=True),
    _fact("min_seconds", 3, _POSTIZ),
    _fact("max_seconds", 600, _POSTIZ, note="The true maximum is the account's own."),
    _fact("max_bytes", 1_000 * MB, f"{_AYRSHARE}; {_EMPLIFI}; {_LATE}", DOUBTFUL, "Sources give 1, 4 or 10 GB."),
    _fact("containers", ["mp4", "mov", "webm"], _LATE),
    _fact("video_codecs", ["h264"], _LATE),
    _fact("min_fps", 23, _LATE),
    _fact("max_fps", 60, _LATE),
    _fact("suggested_bitrate", [10_000_000, 20_000_000], _LATE, is_advice=True),
    _fact("max_video_bitrate", 20_000_000, _LATE, is_advice=True, note="10 to 20 Mbit/s are suggested."),
    _fact("caption_max", 2_000, f"{_METRICOOL}; {_POSTIZ}", note="2,200 in the app (docs.zernio.com)."),
    _fact("hashtags_max", 5, "netinfluencer.com, websitebuilderexpert.com", DOUBTFUL, "Rolled out without a notice."),
    _fact("daily_posts", 15, _EMPLIFI, DOUBTFUL, "Some 15 to 20 a day."),
    _fact("pending_drafts", 5, _POSTIZ, note="In 24 hours."),
]

_INSTAGRAM = [
    _fact("min_width", 540, _AYRSHARE),
    _fact("min_height", 960, _AYRSHARE),
    _fact("aspects", ["9:16"], _AYRSHARE, is_advice=True),
    _fact("min_seconds", 3, _AYRSHARE),
    _fact("max_seconds", 900, _AYRSHARE),
    _fact("story_max_seconds", 60, _PLATFORM, DOUBTFUL),
    _fact("max_bytes", 300 * MB, _AYRSHARE, DOUBTFUL, "300 MB on the English page, 1 GB in newer translations."),
    _fact("containers", ["mp4", "mov"], _AYRSHARE),
    _fact("video_codecs", ["h264", "hevc"], _AYRSHARE),
    _fact("pix_fmts", ["yuv420p"], _AYRSHARE),
    _fact("min_fps", 23, _AYRSHARE),
    _fact("max_fps", 60, _AYRSHARE),
    _fact("max_video_bitrate", 25_000_000, _AYRSHARE, DOUBTFUL),
    _fact("audio_codecs", ["aac"], _AYRSHARE),
    _fact("max_audio_rate", 48_000, _AYRSHARE),
    _fact("faststart", True, _AYRSHARE),
    _fact("caption_max", 2_200, _POSTIZ),
    _fact("hashtags_max", 5, _HASHTAGS, note="Announced in December 2025, introduced step by step."),
    _fact("daily_posts", 50, "developers.facebook.com (content_publishing_limit); repostit.io", DOUBTFUL, "50 or 100."),
]

_LINKEDIN = [
    _fact("aspect_min", 0.417, _AYRSHARE, note="1:2.4"),
    _fact("aspect_max", 2.4, _AYRSHARE, note="2.4:1"),
    _fact("min_seconds", 3, _AYRSHARE),
    _fact("max_seconds", 1_800, _AYRSHARE),
    _fact("max_bytes", 500 * MB, _AYRSHARE, note="200 MB in older pages, 5 GB in the documentation of one connector."),
    _fact("containers", ["mp4"], _AYRSHARE),
    _fact("caption_max", 3_000, _POSTIZ),
]

# What Postiz itself lets through, by its own way of counting.
_POSTIZ_TEXT = {
    "tiktok": 2_000,
    "tiktok-business": 2_200,
    "instagram": 2_200,
    "instagram-standalone": 2_200,
    "youtube": 5_000,
    "facebook": 63_206,
    "x": 280,
    "linkedin": 3_000,
    "linkedin-page": 3_000,
    "threads": 500,
    "pinterest": 500,
    "bluesky": 300,
    "reddit": 10_000,
    "mastodon": 500,
    "telegram": 4_096,
    "discord": 1_980,
}

FACTS: dict[str, list[Fact]] = {
    EVERY: _EVERY,
    "tiktok": _TIKTOK,
    "tiktok-business": [
        *(fact for fact in _TIKTOK if fact["rule"] != "caption_max"),
        _fact("caption_max", 2_200, _POSTIZ),
    ],
    "instagram": _INSTAGRAM,
    "instagram-standalone": _INSTAGRAM,
    "youtube": [
        _fact("aspect_max", 1.0, _SHORTS, SURE, "Square or upright; a wider one is no Short."),
        _fact("max_seconds", 180, _SHORTS, SURE, "Three minutes, for uploads since October 2024."),
        _fact(
            "advised_max_seconds",
            60,
            _SHORTS,
            SURE,
            "Over 60 s with an active Content ID claim a Short is blocked everywhere.",
            is_advice=True,
        ),
        _fact("max_bytes", 256_000 * MB, "developers.google.com/youtube (videos.insert)", SURE),
        _fact("video_codecs", ["h264"], _YT_ENCODING),
        _fact("audio_codecs", ["aac"], _YT_ENCODING),
        _fact("max_audio_rate", 48_000, _YT_ENCODING),
        _fact("suggested_bitrate", [8_000_000, 12_000_000], _YT_ENCODING, is_advice=True),
        _fact("title_min", 2, _POSTIZ),
        _fact("title_max", 100, _POSTIZ, note="About 40 are seen."),
        _fact("caption_max", 5_000, _POSTIZ, note="The description."),
        _fact("tags_max", 500, _POSTIZ, note="With the quotes around tags with spaces."),
        _fact("daily_posts", 100, "developers.google.com/youtube (determine_quota_cost)", DOUBTFUL),
    ],
    "facebook": [
        _fact("min_width", 540, _REELS),
        _fact("min_height", 960, _REELS),
        _fact("aspects", ["9:16"], _REELS, is_advice=True),
        _fact("min_seconds", 3, _REELS),
        _fact("max_seconds", 90, f"{_REELS}; techtimes.com (2025-06-17)", DOUBTFUL, "The app lifted it in June 2025."),
        _fact("story_max_seconds", 60, f"{_REELS}; {_METRICOOL}"),
        _fact("max_bytes", 1_000 * MB, _OWN, DOUBTFUL, "Not stated: a safe value."),
        _fact("containers", ["mp4"], _REELS),
        _fact("min_fps", 24, _REELS),
        _fact("max_fps", 60, _REELS),
        _fact("caption_max", 16_192, _METRICOOL, DOUBTFUL, "Postiz allows 63,206."),
        _fact("daily_posts", 30, _REELS),
    ],
    "x": [
        _fact("aspect_min", 0.334, _X, note="1:3"),
        _fact("aspect_max", 3.0, _X, note="3:1"),
        _fact("min_seconds", 0.5, _X),
        _fact("max_seconds", 1_200, _X, note="125 minutes for Premium; older pages have 140 s."),
        _fact("advised_max_seconds", 120, _POSTIZ, DOUBTFUL, "Without Premium it may be refused.", is_advice=True),
        _fact("max_bytes", 512 * MB, f"{_X}; docs.x.com/x-api/media", DOUBTFUL, "512 MB or 8 GB."),
        _fact("video_codecs", ["h264"], _X),
        _fact("pix_fmts", ["yuv420p"], _X),
        _fact("max_fps", 60, _X),
        _fact("audio_codecs", ["aac"], _X),
        _fact("caption_max", 280, _POSTIZ, SURE, "Weighted; verified accounts have more."),
        _fact("posts_in_3_hours", 300, _POSTIZ, note="For each user."),
    ],
    "linkedin": _LINKEDIN,
    "linkedin-page": _LINKEDIN,
    "threads": [
        _fact("max_width", 1_920, _THREADS),
        _fact("aspects", ["9:16"], _THREADS, is_advice=True),
        _fact("min_seconds", 0.1, _THREADS, note="More than nothing."),
        _fact("max_seconds", 300, _THREADS),
        _fact("max_bytes", 1_000 * MB, _THREADS),
        _fact("containers", ["mp4", "mov"], _THREADS),
        _fact("video_codecs", ["h264", "hevc"], _THREADS),
        _fact("min_fps", 23, _THREADS),
        _fact("max_fps", 60, _THREADS),
        _fact("max_video_bitrate", 25_000_000, _THREADS),
        _fact("audio_codecs", ["aac"], _THREADS),
        _fact("caption_max", 500, _POSTIZ),
        _fact("hashtags_max", 1, f"{_POSTIZ}; {_HASHTAGS}", note="One becomes the topic.", is_advice=True),
        _fact("daily_posts", 250, "developers.facebook.com (threads/overview, 2025-12-22)"),
    ],
    "pinterest": [
        _fact("aspect_min", 0.5, _PINTEREST, note="1:2"),
        _fact("aspect_max", 1.91, _PINTEREST, note="1.91:1"),
        _fact("aspects", ["9:16", "2:3", "4:5", "1:1"], _PINTEREST, is_advice=True),
        _fact("min_seconds", 4, _PINTEREST),
        _fact("max_seconds", 900, _PINTEREST),
        _fact("max_bytes", 2_000 * MB, _PINTEREST),
        _fact("containers", ["mp4", "mov", "m4v"], _PINTEREST),
        _fact("video_codecs", ["h264", "hevc"], _PINTEREST),
        _fact("title_max", 100, _PINTEREST, note="The first 40 are seen, 30 of CJK."),
        _fact("caption_max", 500, _PINTEREST),
        _fact("cover_required", True, _POSTIZ, SURE, "The second medium of a video."),
    ],
    "bluesky": [_fact("caption_max", 300, _POSTIZ)],
    "reddit": [
        _fact("caption_max", 10_000, _POSTIZ),
        _fact("title_min", 2, _POSTIZ),
        _fact("cover_required", True, _POSTIZ, SURE, "A video needs a thumbnail."),
    ],
    "mastodon": [_fact("caption_max", 500, _POSTIZ, note="Instances have limits of their own.")],
    "telegram": [
        _fact("caption_max", 1_024, _PLATFORM, DOUBTFUL, "Postiz allows 4,096, the network 1,024 beside media."),
        _fact("max_bytes", 50 * MB, _PLATFORM, DOUBTFUL, "What a bot may send."),
    ],
    "discord": [
        _fact("caption_max", 1_980, _POSTIZ),
        _fact("max_bytes", 10 * MB, _PLATFORM, DOUBTFUL, "Servers with boosts allow more.", is_advice=True),
    ],
}


def rows() -> list[Fact]:
    """All facts with their network."""
    texts = {network: [_fact("postiz_text_max", most, _POSTIZ, SURE)] for network, most in _POSTIZ_TEXT.items()}
    return [{"network": name, **fact} for name, facts in FACTS.items() for fact in [*facts, *texts.get(name, [])]]


def seed(*, using: str, apps: Any = global_apps, **_: Any) -> None:
    """Receiver of `post_migrate`, in whatever state of the schema that leaves; `flush` sends it too, without apps."""
    try:
        rules = apps.get_model("publishing", "NetworkRule").objects.using(using)
    except LookupError:  # migrated back to before there were rules
        return
    known = {(rule.network, rule.rule): rule for rule in rules.all()}
    new = []
    for row in rows():
        rule = known.get((row["network"], row["rule"]))
        if rule is None:
            new.append(rules.model(**row))
        elif not rule.is_edited and any(getattr(rule, name) != value for name, value in row.items()):
            for name, value in row.items():
                setattr(rule, name, value)
            rule.save(using=using)
    rules.bulk_create(new, ignore_conflicts=True)
    told = {(row["network"], row["rule"]) for row in rows()}
    rules.filter(pk__in=[rule.pk for key, rule in known.items() if key not in told and not rule.is_edited]).delete()
