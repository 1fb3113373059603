"""What each network wants to know besides text and media, as JSON Schema (Draft 2020-12), with what we begin from.

After the DTOs of github.com/gitroomhq/postiz-app (74b01ad). Unknown keys pass, for Postiz keeps them and newer versions
know more; `network_settings` refuses those that look like a typing error. TikTok's sharing guidelines forbid a privacy
that is chosen beforehand, and comment, duet and stitch that are on without anybody's doing: they have no
default, or no.
"""

from typing import Any

Schema = dict[str, Any]
DRAFT = "https://json-schema.org/draft/2020-12/schema"


def _one_of(title: str, *values: str) -> Schema:
    return {"type": "string", "title": title, "enum": list(values)}


def _text(title: str, most: int, least: int = 0) -> Schema:
    return {"type": "string", "title": title, "maxLength": most, **({"minLength": least} if least else {})}


def _link(title: str, pattern: str = r"^https?://\S+$") -> Schema:
    return {"type": "string", "title": title, "maxLength": 2_000, "pattern": pattern}


def _yes(title: str) -> Schema:
    return {"type": "boolean", "title": title}


def _volume(title: str) -> Schema:
    return {"type": "number", "title": title, "minimum": 0, "maximum": 100}


def _map(label: str, needed: list[str], /, **properties: Schema) -> Schema:
    return {"type": "object", "title": label, "properties": properties, "required": needed}


def _list(title: str, items: Schema, least: int = 0, most: int = 100) -> Schema:
    return {"type": "array", "title": title, "items": items, "minItems": least, "maxItems": most}


def _schema(needed: list[str], /, **properties: Schema) -> Schema:
    return {"$schema": DRAFT, "type": "object", "properties": properties, "required": needed}


_TIKTOK: dict[str, Schema] = {
    "privacy_level": _one_of(
        "Who can see the video", "PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "FOLLOWER_OF_CREATOR", "SELF_ONLY"
    ),
    "comment": _yes("Others may comment"),
    "duet": _yes("Others may make a duet"),
    "stitch": _yes("Others may stitch it"),
    "autoAddMusic": _one_of("TikTok may add music to photos", "yes", "no"),
    "brand_content_toggle": _yes("It promotes somebody else's brand (paid partnership)"),
    "brand_organic_toggle": _yes("It promotes your own brand"),
    "video_made_with_ai": _yes("It was made with AI"),
    "content_posting_method": _one_of("Post it, or send it to the inbox to be finished there", "DIRECT_POST", "UPLOAD"),
    "title": _text("Title (of photos)", 90),
}
_TIKTOK_NEEDED = [name for name in _TIKTOK if name not in {"title", "video_made_with_ai"}]
_TIKTOK_BUSINESS: dict[str, Schema] = {
    **_TIKTOK,
    "music": _map(
        "Music",
        ["id"],
        id=_text("Its id", 200, 1),
        audio_volume=_volume("How loud, of 100"),
        video_volume=_volume("How loud the video's own sound, of 100"),
    ),
    "location": _map("Place", ["id"], id=_text("Its id", 200, 1), name=_text("Its name", 200)),
}
_INSTAGRAM: dict[str, Schema] = {
    "post_type": _one_of("Reel or story", "post", "story"),
    "is_trial_reel": _yes("A trial reel: first shown to people who do not follow"),
    "graduation_strategy": _one_of("How a trial reel becomes a reel", "MANUAL", "SS_PERFORMANCE"),
    "collaborators": _list("Collaborators", _map("One of them", ["label"], label=_text("Its name", 100, 1)), most=5),
    "audio": _map("Sound", ["id"], id=_text("Its id", 200, 1)),
}
_SUBREDDIT: Schema = _map(
    "What is posted there",
    ["subreddit", "title", "type", "is_flair_required"],
    subreddit=_text("Where, as in /r/videos", 100, 2),
    title=_text("Title", 300, 2),
    type=_one_of("Kind of post", "media", "self", "link"),
    url={"type": "string", "title": "Link", "maxLength": 2_000},
    is_flair_required=_yes("This subreddit demands a flair"),
    flair=_map("Flair", ["id"], id=_text("Its id", 200, 1), name=_text("Its name", 200)),
)
_LINKEDIN: dict[str, Schema] = {
    "post_as_images_carousel": _yes("Photos as a carousel"),
    "carousel_name": _text("Name of the carousel", 300),
}

SCHEMAS: dict[str, Schema] = {
    "tiktok": _schema(_TIKTOK_NEEDED, **_TIKTOK),
    "tiktok-business": _schema(_TIKTOK_NEEDED, **_TIKTOK_BUSINESS),
    "instagram": _schema(["post_type"], **_INSTAGRAM),
    "instagram-standalone": _schema(["post_type"], **_INSTAGRAM),
    "youtube": _schema(
        ["title", "type"],
        title=_text("Title", 100, 2),
        type=_one_of("Who can see the video", "public", "unlisted", "private"),
        selfDeclaredMadeForKids=_one_of("It was made for children", "yes", "no"),
        tags=_list("Tags", _map("A tag", ["value", "label"], value=_text("Tag", 500, 1), label=_text("Tag", 500, 1))),
    ),
    "facebook": _schema(
        [],
        post_type=_one_of("Reel or story", "post", "story"),
        url=_link("Link"),
        text_format_preset_id=_text("Background of a post without media", 100),
    ),
    "x": _schema(
        ["who_can_reply_post"],
        who_can_reply_post=_one_of(
            "Who may reply", "everyone", "following", "mentionedUsers", "subscribers", "verified"
        ),
        community=_link("Community", r"^(https://x\.com/i/communities/\d+)?$"),
        made_with_ai=_yes("It was made with AI"),
        paid_partnership=_yes("It is a paid partnership"),
        post_type={"type": "string", "title": "Kind of post", "maxLength": 50},
    ),
    "linkedin": _schema([], **_LINKEDIN),
    "linkedin-page": _schema([], **_LINKEDIN),
    "threads": _schema([]),
    "pinterest": _schema(
        ["board"],
        board=_text("Board", 200, 1),
        title=_text("Title", 100),
        link=_link("Link", r"^(https?://\S+)?$"),
        dominant_color=_text("Main colour", 20),
    ),
    "bluesky": _schema([]),
    "reddit": _schema(
        ["subreddit"],
        subreddit=_list(
            "Where it is posted", _map("A subreddit", ["value"], value=_SUBREDDIT), least=1, most=20
        ),
    ),
    "mastodon": _schema([]),
    "telegram": _schema([]),
    "discord": _schema(["channel"], channel=_text("Channel", 100, 1)),
}  # fmt: skip

_TIKTOK_DEFAULTS = {
    "comment": False,
    "duet": False,
    "stitch": False,
    "autoAddMusic": "no",
    "brand_content_toggle": False,
    "brand_organic_toggle": False,
    "video_made_with_ai": False,
    "content_posting_method": "DIRECT_POST",
}
DEFAULTS: dict[str, dict[str, Any]] = {
    "tiktok": _TIKTOK_DEFAULTS,
    "tiktok-business": _TIKTOK_DEFAULTS,
    "instagram": {"post_type": "post"},
    "instagram-standalone": {"post_type": "post"},
    "youtube": {"type": "public", "selfDeclaredMadeForKids": "no"},
    "facebook": {"post_type": "post"},
    "x": {"who_can_reply_post": "everyone"},
}
# Of one entry of Reddit's list, whose length nobody knows beforehand.
SUBREDDIT_DEFAULTS = {"type": "media", "url": "", "is_flair_required": False}

# Choices of an account that Postiz looks up: integration-trigger/<channel> with this method.
LOOKED_UP = {("pinterest", "board"): "boards", ("discord", "channel"): "channels"}
