"""What is done to posts that exist: list, delete, status, settings, release id."""

import json
from datetime import datetime
from typing import Any

from .call import Apply, Call
from .models import Post, iso
from .posts import expanded, is_iso, parse_date
from .replies import Refused, bad_request, msg, ok, server_error
from .state import World


def list_posts(call: Call) -> Apply:
    """Both ends of the window count; no paging, no order."""
    lines = []
    for name in ("startDate", "endDate"):
        value = call.query.get(name)
        if value is None or not is_iso(value):
            lines.append(f"{name} must be a valid ISO 8601 date string")
            lines += [f"{name} should not be null or undefined"] if value is None else []
    if lines:
        raise Refused(bad_request(lines))
    start, end = parse_date(call.query["startDate"]), parse_date(call.query["endDate"])
    assert start is not None, "just checked"
    assert end is not None, "just checked"
    customer = call.query.get("customer")
    return lambda: ok(
        {
            "posts": [
                as_json(post, date, call.world)
                for post in call.world.posts
                if post.organisation is call.organisation and not post.deleted and not post.integration.deleted
                if not customer or (post.integration.customer is not None and post.integration.customer.id == customer)
                for date in expanded(post, start, end)
            ]
        }
    )


def as_json(post: Post, date: datetime, world: World) -> dict[str, Any]:
    """A row of GET /posts; which keys it has depends on the version."""
    since = world.features.since
    row: dict[str, Any] = {
        "id": post.id,
        "content": post.content,
        "publishDate": iso(date),
        "releaseURL": post.release_url,
        "releaseId": post.release_id,
        "state": post.state,
        "intervalInDays": post.interval_days,
        "group": post.group,
        "creationMethod": post.creation_method,
        "settings": json.dumps(post.settings, ensure_ascii=False, separators=(",", ":")),
        "tags": [{"tag": {"id": f"tag-{name}", "name": name, "color": "#942828"}} for name in post.tags],
        "integration": {
            "id": post.integration.id,
            "providerIdentifier": post.integration.identifier,
            "name": post.integration.name,
            "picture": post.integration.picture,
        },
    }
    hidden = [
        *([] if since(2, 14) else ["releaseId"]),
        *([] if since(2, 21, 8) else ["creationMethod"]),
        *([] if world.features.head else ["settings"]),
    ]
    for name in hidden:
        del row[name]
    return row | ({"error": post.error} if world.error_in_list else {})


def delete_post(call: Call) -> Apply:
    """`{"error":true}` is the success; an unknown, deleted or foreign id is a 500."""
    post = call.world.post(call.arguments["id"], call.organisation)
    if post is None:
        raise Refused(server_error())
    return delete_group(call, post.group)


def delete_group(call: Call, group: str | None = None) -> Apply:
    name = group if group is not None else call.arguments["group"]

    def apply() -> Any:
        call.world.delete_group(call.organisation, name)
        return ok({"error": True})

    return apply


def put_status(call: Call) -> Apply:
    """draft ⇄ schedule. Scheduling what is published publishes it again: that is how Postiz is."""
    status = call.json.get("status")
    if status not in ("draft", "schedule"):
        raise Refused(bad_request(["status must be one of the following values: draft, schedule"]))
    post = call.world.post(call.arguments["id"], call.organisation)
    if post is None:
        raise Refused(bad_request("Post not found"))

    def apply() -> Any:
        if status == "draft":
            post.state = "DRAFT"
            call.world.life.stop(post)
        else:
            post.state = "QUEUE"
            call.world.life.start(post, max(post.date, call.world.now()))
        return ok({"id": post.id, "state": post.state})

    return apply


def put_settings(call: Call) -> Apply:
    post = call.world.post(call.arguments["id"], call.organisation)
    if post is None:
        raise Refused(msg("Post not found", 404))
    waits = post.state == "QUEUE" and post.date > call.world.clock.now()
    settings = call.json.get("settings")
    if not isinstance(settings, dict) or not (waits or post.state == "DRAFT"):
        raise Refused(bad_request("Only a draft or a post that still waits can be changed"))

    def apply() -> Any:
        post.settings |= {**settings, "__type": post.integration.identifier}
        return ok({"postId": post.id, "publishDate": post.date.strftime("%Y-%m-%dT%H:%M:%S")})

    return apply


def missing(call: Call) -> Apply:
    post = call.world.post(call.arguments["id"], call.organisation)
    return lambda: ok(post.candidates if post is not None and post.release_id == "missing" else [])


def put_release_id(call: Call) -> Apply:
    post = call.world.post(call.arguments["id"], call.organisation)
    if post is None or post.release_id != "missing":
        raise Refused(server_error())

    def apply() -> Any:
        post.release_id = str(call.json.get("releaseId"))
        return ok(as_json(post, post.date, call.world))

    return apply
