"""What Postiz checks per network: the settings (class-validator's texts) and the media and text of a post."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .models import Integration

YES_NO = ("yes", "no")
LENGTHS = {
    "tiktok": 2000, "instagram": 2200, "instagram-standalone": 2200, "youtube": 5000, "facebook": 63206, "x": 280,
    "linkedin": 3000, "linkedin-page": 3000, "threads": 500, "pinterest": 500, "bluesky": 300, "reddit": 10000,
    "mastodon": 500, "telegram": 4096, "discord": 1980,
}  # fmt: skip
X_VERIFIED = 4000
X_LIGHT = (range(0x1100), range(0x2000, 0x200E), range(0x2010, 0x2020), range(0x2032, 0x2038))  # all else counts 2
URL = re.compile(r"https?://\S+")


@dataclass(frozen=True)
class Setting:
    """One settings field. kind: bool, text or choice; `low`/`high`: length of a text."""

    name: str
    kind: str
    choices: tuple[str, ...] = ()
    required: bool = True
    low: int = 0
    high: int = 0
    text: bool = False  # a choice that is also checked for being a string
    message: str = ""  # instead of the standard texts


SETTINGS: dict[str, tuple[Setting, ...]] = {
    "tiktok": (
        Setting("title", "text", required=False, high=90),
        Setting(
            "privacy_level",
            "choice",
            ("PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "FOLLOWER_OF_CREATOR", "SELF_ONLY"),
            text=True,
        ),
        Setting("duet", "bool"),
        Setting("stitch", "bool"),
        Setting("comment", "bool"),
        Setting("autoAddMusic", "choice", YES_NO),
        Setting("brand_content_toggle", "bool"),
        Setting("brand_organic_toggle", "bool"),
        Setting("content_posting_method", "choice", ("DIRECT_POST", "UPLOAD"), text=True),
    ),
    "instagram": (Setting("post_type", "choice", ("post", "story")),),
    "youtube": (
        Setting("title", "text", low=2, high=100),
        Setting("type", "choice", ("public", "private", "unlisted")),
        Setting("selfDeclaredMadeForKids", "choice", YES_NO, required=False),
    ),
    "facebook": (Setting("post_type", "choice", ("post", "story"), required=False),),
    "x": (
        Setting("who_can_reply_post", "choice", ("everyone", "following", "mentionedUsers", "subscribers", "verified")),
    ),
    "pinterest": (
        Setting("title", "text", required=False, high=100),
        Setting("board", "text", low=1, message="Board is required"),
    ),
    "discord": (Setting("channel", "text", low=1),),
}
SETTINGS["instagram-standalone"] = SETTINGS["instagram"]


def settings_errors(identifier: str, settings: Any, prefix: str) -> list[str]:
    """class-validator's lines about the settings of a channel's kind, each with its path in front."""
    values = settings if isinstance(settings, dict) else {}
    lines: list[str] = []
    for field in SETTINGS.get(identifier, ()):
        value = values.get(field.name)
        if value is None and not field.required:
            continue
        lines += [prefix + line for line in _setting_errors(field, value)]
    if identifier == "reddit" and not values.get("subreddit"):
        lines += [f"{prefix}subreddit must contain at least 1 elements", f"{prefix}subreddit must be an array"]
    return lines


def _setting_errors(field: Setting, value: Any) -> list[str]:
    if field.kind == "bool":
        # a string or number is turned into a boolean before the check, so only its absence is one
        return [f"{field.name} must be a boolean value"] if value is None or isinstance(value, dict | list) else []
    if field.kind == "choice":
        lines = [] if isinstance(value, str) or not field.text else [f"{field.name} must be a string"]
        if value not in field.choices:
            lines.append(f"{field.name} must be one of the following values: {', '.join(field.choices)}")
        return lines
    if not isinstance(value, str):
        lines = [f"{field.name} must be a string"]
        if field.low:
            lines.insert(0, f"{field.name} must be longer than or equal to {field.low} characters")
    elif len(value) < field.low:
        lines = [f"{field.name} must be longer than or equal to {field.low} characters"]
    elif field.high and len(value) > field.high:
        lines = [f"{field.name} must be shorter than or equal to {field.high} characters"]
    else:
        return []
    return [field.message] if field.message else lines


def content_length(identifier: str, content: str) -> int:
    """The length that Postiz compares: UTF-16 units, for X weighted; `&` of a text without tags counts as 5."""
    plain = re.sub(r"<[^>]*>", "", content)
    if plain == content:
        plain = content.replace("&", "&amp;")
    if identifier != "x":
        return len(plain.encode("utf-16-le")) // 2
    rest, urls = URL.subn("", plain)
    return urls * 23 + sum(1 if any(ord(letter) in span for span in X_LIGHT) else 2 for letter in rest)


def max_length(channel: Integration) -> int:
    if channel.identifier == "x" and channel.verified:
        return X_VERIFIED
    return LENGTHS.get(channel.identifier, 10_000)


def post_error(channel: Integration, content: str, media: list[dict[str, Any]], settings: dict[str, Any]) -> str | None:
    """The reason for which the channel's provider refuses a post, or None."""
    check = MEDIA_RULES.get(channel.identifier)
    problem = check(media, settings) if check else None
    if problem is None and content_length(channel.identifier, content) > max_length(channel):
        return "post is too long, please fix it"
    return problem


def is_video(item: dict[str, Any]) -> bool:
    return "mp4" in str(item.get("path", ""))


def _tiktok(media: list[dict[str, Any]], settings: dict[str, Any]) -> str | None:
    if not media:
        return "No video / images selected"
    if len(media) > 1 and any(map(is_video, media)):
        return "Only pictures are supported when selecting multiple items"
    return None


def _youtube(media: list[dict[str, Any]], settings: dict[str, Any]) -> str | None:
    if len(media) != 1:
        return "You need one media"
    return None if is_video(media[0]) else "Item must be a video"


def _instagram(media: list[dict[str, Any]], settings: dict[str, Any]) -> str | None:
    if not media:
        return "Should have at least one media"
    return "Instagram should have up to 10 media" if len(media) > 10 else None


def _facebook(media: list[dict[str, Any]], settings: dict[str, Any]) -> str | None:
    return "Story should have one media" if settings.get("post_type") == "story" and not media else None


def _linkedin(media: list[dict[str, Any]], settings: dict[str, Any]) -> str | None:
    return "LinkedIn can have maximum 1 media when selecting a video" if len(media) > 1 and _any_video(media) else None


def _pinterest(media: list[dict[str, Any]], settings: dict[str, Any]) -> str | None:
    if not media:
        return "Requires at least one media"
    if is_video(media[0]) and len(media) != 2:
        return "If posting a video to Pinterest you have to also include a cover image as second media"
    return None


def _bluesky(media: list[dict[str, Any]], settings: dict[str, Any]) -> str | None:
    if _any_video(media) and len(media) > 1:
        return "You can only upload one video to Bluesky per post."
    return "There can be maximum 4 pictures in a post." if len(media) > 4 else None


def _reddit(media: list[dict[str, Any]], settings: dict[str, Any]) -> str | None:
    bare = any(is_video(item) and not item.get("thumbnail") for item in media)
    return "You must attach a thumbnail to your video post" if bare else None


def _any_video(media: list[dict[str, Any]]) -> bool:
    return any(map(is_video, media))


MEDIA_RULES: dict[str, Callable[[list[dict[str, Any]], dict[str, Any]], str | None]] = {
    "tiktok": _tiktok,
    "youtube": _youtube,
    "instagram": _instagram,
    "instagram-standalone": _instagram,
    "facebook": _facebook,
    "linkedin": _linkedin,
    "linkedin-page": _linkedin,
    "pinterest": _pinterest,
    "bluesky": _bluesky,
    "reddit": _reddit,
}
