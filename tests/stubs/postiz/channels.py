"""Everything about channels: the list, their settings and tools, slots, numbers, notifications, and the small calls."""

from datetime import timedelta
from typing import Any

from .call import Apply, Call
from .models import Customer, Integration, iso
from .providers import SETTINGS, max_length
from .replies import Refused, msg, ok, server_error

TOOLS: dict[str, dict[str, list[dict[str, str]]]] = {
    "pinterest": {"boards": [{"id": "123456", "name": "Shorts"}]},
    "discord": {"channels": [{"id": "112233", "name": "general"}]},
}
PER_PAGE = 100
SLOT_MINUTES = 10


def is_connected(call: Call) -> Apply:
    return lambda: ok({"connected": True})


def list_integrations(call: Call) -> Apply:
    group = call.query.get("group") if call.world.features.since(2, 21, 9) else None
    return lambda: ok(
        [
            as_json(channel)
            for channel in call.organisation.integrations
            if not channel.deleted
            if not group or (channel.customer is not None and channel.customer.id == group)
        ]
    )


def as_json(channel: Integration) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": channel.id,
        "name": channel.name,
        "identifier": channel.identifier,
        "picture": channel.picture,
        "disabled": channel.disabled,
        "profile": channel.profile,
    }
    customer = channel.customer
    return row | ({"customer": {"id": customer.id, "name": customer.name}} if customer is not None else {})


def groups(call: Call) -> Apply:
    def customers() -> list[Customer]:
        found = [item.customer for item in call.organisation.integrations if item.customer is not None]
        return list(dict.fromkeys(found))

    return lambda: ok([{"id": one.id, "name": one.name} for one in customers()])


def _channel(call: Call) -> Integration:
    channel = call.organisation.find(call.arguments["id"])
    if channel is None:
        raise Refused(msg("Integration not found", 404))
    return channel


def integration_settings(call: Call) -> Apply:
    channel = _channel(call)
    fields = SETTINGS.get(channel.identifier, ())
    schema = {
        "type": "object",
        "properties": {
            one.name: {"type": "boolean" if one.kind == "bool" else "string"}
            | ({"enum": list(one.choices)} if one.choices else {})
            for one in fields
        },
        "required": [one.name for one in fields if one.required],
    }
    tools = [
        {"methodName": name, "description": f"The {name} of the channel", "dataSchema": []}
        for name in TOOLS.get(channel.identifier, {})
    ]
    output = {
        "rules": "",
        "maxLength": max_length(channel),
        "settings": schema if fields else "No additional settings required",
        "tools": tools,
    }
    return lambda: ok({"output": output})


def integration_trigger(call: Call) -> Apply:
    channel = _channel(call)
    tools = TOOLS.get(channel.identifier, {})
    name = call.json.get("methodName")
    if not isinstance(name, str) or name not in tools:
        raise Refused(msg("Tool not found", 404))
    if channel.refresh_needed:
        raise Refused(msg("Channel disconnected due to expired token", 401))
    return lambda: ok({"output": tools[name]}, 201)


def social(call: Call) -> Apply:
    provider = call.arguments["provider"]
    if provider not in SETTINGS:
        raise Refused(msg("Integration not allowed"))
    return lambda: ok({"url": f"https://{provider}.example/oauth/authorize?state={call.organisation.id[:10]}"})


def delete_integration(call: Call) -> Apply:
    """Takes the channel's posts with it."""
    channel = call.organisation.find(call.arguments["id"])
    if channel is None:
        raise Refused(server_error())

    def apply() -> Any:
        channel.deleted = True
        for post in call.world.posts:
            if post.integration is channel and not post.deleted:
                call.world.delete_group(call.organisation, post.group)
        return ok({"id": channel.id})

    return apply


def find_slot(call: Call) -> Apply:
    moment = call.world.clock.now() + timedelta(days=1)
    moment = moment.replace(minute=moment.minute // SLOT_MINUTES * SLOT_MINUTES, second=0, microsecond=0)
    return lambda: ok({"date": moment.strftime("%Y-%m-%dT%H:%M:%S")})


def analytics(call: Call) -> Apply:
    date = call.world.clock.now().strftime("%Y-%m-%d")
    if call.organisation.find(call.arguments["id"]) is None:
        raise Refused(server_error())
    return lambda: ok([{"label": "Views", "data": [{"total": "12", "date": date}], "percentageChange": 5}])


def post_analytics(call: Call) -> Apply:
    post = call.world.post(call.arguments["id"], call.organisation)
    date = call.world.clock.now().strftime("%Y-%m-%d")
    if post is None or not post.release_id:
        return lambda: ok([])
    if post.release_id == "missing":
        return lambda: ok({"missing": True})
    return lambda: ok([{"label": "Views", "data": [{"total": "12", "date": date}], "percentageChange": 5}])


def notifications(call: Call) -> Apply:
    """Newest first, 100 to a page, from page 0."""
    text = call.query.get("page", "0")
    page = int(text) if text.isascii() and text.isdigit() else 0

    def apply() -> Any:
        rows = [one for one in call.world.life.notifications if one.organisation is call.organisation][::-1]
        shown = rows[page * PER_PAGE : (page + 1) * PER_PAGE]
        return ok(
            {
                "notifications": [
                    {"id": one.id, "content": one.content, "link": None, "createdAt": iso(one.at)} for one in shown
                ],
                "total": len(rows),
                "page": page,
                "limit": PER_PAGE,
                "hasMore": (page + 1) * PER_PAGE < len(rows),
            }
        )

    return apply
