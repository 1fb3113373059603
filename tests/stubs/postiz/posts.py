"""POST /posts: the checks, the words of the refusals, the rows."""

import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from . import providers
from .call import Apply, Call
from .models import Integration, Post
from .replies import Refused, Reply, bad_request, msg, ok, server_error
from .state import World

ISO_DATE = re.compile(
    r"[+-]?\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])([T ]\d\d:\d\d(:\d\d([.,]\d+)?)?(Z|[+-]\d\d:?\d\d)?)?", re.I
)
EXTENSIONS = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".mp4")
ALLOWED_TAG = re.compile(r"</?(?:p|br|strong|u|a|ul|li|h1|h2|h3|span)(?:\s[^<>]*)?/?>")
OTHER_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
PLAN_FULL = "You have reached the maximum number of posts for your subscription. Please upgrade your subscription."
REPEATS = 400  # at most, in one list
NO_TEXT = "If images do not exist, content must be a non-empty string."
PUBLISHED_ALREADY = "This post was already published; set republish to true to publish it again."


def create(call: Call) -> Apply:
    """Checks in Postiz's order: channels, DTO, media domain, provider rules (not for drafts, not before 2.21.9)."""
    if call.organisation.posts_left == 0:
        raise Refused(ok({"statusCode": 402, "message": PLAN_FULL, "url": f"{call.host}/billing"}, 402))
    body = call.json
    world = call.world
    channels = _channels(call, body)
    lines = _dto_errors(world, body, channels)
    if lines:
        raise Refused(bad_request(lines))
    _check_domain(world, body)
    draft = body.get("type") == "draft"
    for channel, item in zip(channels, body["posts"], strict=True):
        if world.features.since(2, 21, 9) and not draft:
            _check_provider(channel, item)
        if world.features.head:
            _check_republish(call, item)
    return lambda: _create_rows(call, body, channels)


def _channels(call: Call, body: dict[str, Any]) -> list[Integration]:
    """The channel of each of posts[]; Refused when one is none of the organisation's."""
    items = body.get("posts")
    ids: list[str | None] = [_integration_id(item) for item in items] if isinstance(items, list) else [None]
    if not all(ids):
        raise Refused(bad_request("All posts must have an integration id"))
    found = []
    for one in ids:
        channel = call.organisation.find(str(one))
        if channel is None:
            raise Refused(bad_request(f"Integration with id {one} not found"))
        found.append(channel)
    return found


def _integration_id(item: Any) -> str | None:
    integration = item.get("integration") if isinstance(item, dict) else None
    one = integration.get("id") if isinstance(integration, dict) else None
    return one if isinstance(one, str) else None


def _dto_errors(world: World, body: dict[str, Any], channels: list[Integration]) -> list[str]:
    lines: list[str] = []
    if not world.features.since(2, 21, 9) and body.get("type") not in ("draft", "schedule", "now"):
        lines.append("type must be one of the following values: draft, schedule, now")
    if body.get("shortLink") is None:
        lines += ["shortLink must be a boolean value", "shortLink should not be null or undefined"]
    date = body.get("date")
    if not isinstance(date, str) or not is_iso(date):
        lines.append("date must be a valid ISO 8601 date string")
        lines += ["date should not be null or undefined"] if date is None else []
    lines += _tag_errors(body.get("tags"))
    if not body["posts"]:
        lines.append("posts must contain at least 1 elements")
    for number, (channel, item) in enumerate(zip(channels, body["posts"], strict=True)):
        lines += _value_errors(item.get("value"), f"posts.{number}.")
        if body.get("type") != "draft" or world.features.since(2, 21, 9):
            lines += providers.settings_errors(channel.identifier, item.get("settings"), f"posts.{number}.settings.")
    return lines


def _tag_errors(tags: Any) -> list[str]:
    if not isinstance(tags, list):
        return ["tags should not be null or undefined"] * (tags is None) + ["tags must be an array"]
    lines = []
    for number, tag in enumerate(tags):
        for name in ("value", "label"):
            if not isinstance(tag, dict) or not isinstance(tag.get(name), str):
                lines.append(f"tags.{number}.{name} must be a string")
    return lines


def _value_errors(value: Any, prefix: str) -> list[str]:
    if not isinstance(value, list):
        return [
            f"{prefix}value must be an array",
            f"{prefix}value must contain at least 1 elements",
            *([f"{prefix}value should not be null or undefined"] if value is None else []),
        ]
    if not value:
        return [f"{prefix}value must contain at least 1 elements"]
    lines: list[str] = []
    for number, item in enumerate(value):
        lines += _item_errors(item if isinstance(item, dict) else {}, f"{prefix}value.{number}.")
    return lines


def _item_errors(item: dict[str, Any], prefix: str) -> list[str]:
    lines = []
    content, images = item.get("content"), item.get("image")
    if not isinstance(content, str):
        lines.append(f"{prefix}content must be a string")
    elif not content and not images:
        lines.append(prefix + NO_TEXT)
    if not isinstance(images, list):
        return [*lines, f"{prefix}image must be an array"]
    for number, image in enumerate(images):
        where = f"{prefix}image.{number}."
        image = image if isinstance(image, dict) else {}
        lines += [f"{where}{name} must be a string" for name in ("id", "path") if not isinstance(image.get(name), str)]
        path = image.get("path")
        if isinstance(path, str) and not path.split("?")[0].endswith(EXTENSIONS):
            lines.append(f"{where}File must have a valid extension: {', '.join(EXTENSIONS[:-1])}, or .mp4")
    return lines


def is_iso(text: str) -> bool:
    return ISO_DATE.fullmatch(text) is not None and parse_date(text) is not None


def parse_date(text: str) -> datetime | None:
    """UTC, to the millisecond; a date without a zone is UTC."""
    try:
        moment = datetime.fromisoformat(text.replace(",", "."))
    except ValueError:
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _check_domain(world: World, body: dict[str, Any]) -> None:
    paths = [image["path"] for item in body["posts"] for value in item["value"] for image in value["image"]]
    if world.upload_domain and any(world.upload_domain not in path for path in paths):
        text = "All media must be uploaded through our upload API route and contain the domain: "
        raise Refused(msg(text + world.upload_domain))


def _check_provider(channel: Integration, item: dict[str, Any]) -> None:
    first = item["value"][0]
    settings = item.get("settings")
    problem = providers.post_error(
        channel, first["content"], first["image"], settings if isinstance(settings, dict) else {}
    )
    if problem:
        body = {"statusCode": 400, "provider": channel.identifier, "name": channel.name, "message": problem}
        raise Refused(ok(body, 400))


def _check_republish(call: Call, item: dict[str, Any]) -> None:
    known = call.world.post(str(item["value"][0].get("id")), call.organisation)
    if known is not None and known.state == "PUBLISHED" and call.json.get("republish") is not True:
        raise Refused(bad_request(PUBLISHED_ALREADY))


def sanitised(content: str, world: World) -> str:
    """What DOMPurify leaves (2.21.7 on): a text without `<` is untouched, else known tags stay, the rest is escaped."""
    if "<" not in content or not world.features.since(2, 21, 7):
        return content
    parts: list[str] = []
    position = 0
    for tag in ALLOWED_TAG.finditer(content):
        parts += [_escaped(content[position : tag.start()]), tag.group()]
        position = tag.end()
    return "".join([*parts, _escaped(content[position:])])


def _escaped(text: str) -> str:
    text = OTHER_TAG.sub("", text)
    text = re.sub(r"&(?!#?\w+;)", "&amp;", text)
    return text.replace("<", "&lt;").replace(">", "&gt;")


def _create_rows(call: Call, body: dict[str, Any], channels: list[Integration]) -> Reply:
    """One row after the other, without a transaction: what fails in the middle leaves the earlier ones."""
    partial = call.fault.partial if call.fault else None
    done = []
    for number, (channel, item) in enumerate(zip(channels, body["posts"], strict=True)):
        if number == partial:
            return server_error()
        post = _create_row(call, body, channel, item)
        if call.organisation.posts_left:
            call.organisation.posts_left -= 1
        done.append({"postId": post.id, "integration": channel.id})
    return ok(done, 201)


def _create_row(call: Call, body: dict[str, Any], channel: Integration, item: dict[str, Any]) -> Post:
    world, kind = call.world, body.get("type")
    first = item["value"][0]
    now = world.now()
    date = now.replace(second=0, microsecond=0) if kind == "now" else parse_date(body["date"])
    assert date is not None, "the DTO was checked"
    sent = item.get("settings")
    settings = {**(sent if isinstance(sent, dict) else {}), "__type": channel.identifier}
    known = world.post(str(first.get("id")), call.organisation)
    if item.get("group"):
        _delete_others(world, call, str(item["group"]), known)
    row = known or Post(
        organisation=call.organisation,
        integration=channel,
        content="",
        date=date,
        state="DRAFT",
        settings={},
        media=[],
        created_at=now,
        group=str(uuid.uuid4()),
        creation_method="CLI" if body.get("creationMethod") == "CLI" else "API",
    )
    row.content, row.date, row.settings = sanitised(first["content"], world), date, settings
    row.media = [image["path"] for image in first["image"]]
    row.tags = [tag["label"] for tag in body["tags"] if tag["label"] in call.organisation.tags]
    row.interval_days = int(body["inter"]) if isinstance(body.get("inter"), int | float) else None
    if known is None:
        world.posts.append(row)
    _start(world, row, kind, max(now, date))
    return row


def _delete_others(world: World, call: Call, group: str, known: Post | None) -> None:
    world.delete_group(call.organisation, group)
    if known is not None:
        known.deleted = False


def _start(world: World, row: Post, kind: Any, due: datetime) -> None:
    if kind == "draft":
        row.state = "DRAFT"
        world.life.stop(row)
    elif kind == "update":
        row.state = "QUEUE" if row.state == "DRAFT" else row.state
    else:
        row.state = "QUEUE"
        world.life.start(row, due)


def expanded(post: Post, start: datetime, end: datetime) -> list[datetime]:
    """The dates under which a list of [start, end] shows a post: a repeated one as often as it falls into it."""
    if not post.interval_days:
        return [post.date] if start <= post.date <= end else []
    step = timedelta(days=post.interval_days)
    first = max(0, (start - post.date) // step)
    dates = [post.date + number * step for number in range(first, first + REPEATS)]
    return [date for date in dates if start <= date <= end] or [post.date]
