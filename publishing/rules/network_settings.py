"""Settings per network: put together from what was chosen where, checked, described.

Stored and passed as flat objects without Postiz's own `__type` and our `client_ref`, which are put in on the way out.
"""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from difflib import get_close_matches
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, ValidationError

from profiles.errors import Invalid
from publishing.rules.facts import NAMES, name_of
from publishing.rules.schemas import DEFAULTS, LOOKED_UP, SCHEMAS, SUBREDDIT_DEFAULTS, Schema
from publishing.rules.text_length import cut

Settings = dict[str, Any]
Problems = dict[str, list[str]]

MAX_BYTES = 8_000
RESERVED = ("__type", "client_ref")
# Settings of Postiz's own automations; it takes them for such wherever the word stands in a key.
_AUTOMATION = "plug-"
_TITLE_MAX = {"youtube": 100, "pinterest": 100, "reddit": 300}
_NEEDS_TITLE = frozenset({"youtube", "reddit"})
_YOUTUBE_TAGS_MAX = 500
_ALIKE = 0.75  # from this likeness on an unknown key is a typing error


def effective(
    profile_defaults: Mapping[str, Any] | None,
    network: str,
    given: Mapping[str, Any] | None,
    *,
    title: str = "",
    clip_name: str = "",
) -> Settings:
    """What will be sent, each over the one before: our defaults, the profile's for this network
    (`PublishingSettings.network_settings`), the caption set's title, what was given for this post.

    `clip_name` is the title where one is needed and nobody gave any. Nothing is checked here.
    """
    of_profile = (profile_defaults or {}).get(network)
    merged: Settings = deepcopy({**DEFAULTS.get(network, {}), **(of_profile if isinstance(of_profile, dict) else {})})
    if title and network in _TITLE_MAX:
        merged["title"] = title
    merged |= deepcopy(dict(given or {}))
    if network in _NEEDS_TITLE and not merged.get("title") and clip_name:
        merged["title"] = cut(clip_name, _TITLE_MAX[network])
    return _with_titled_subreddits(merged) if network == "reddit" else merged


def _with_titled_subreddits(settings: Settings) -> Settings:
    """Reddit has a title for each subreddit instead of one for all."""
    title = settings.pop("title", "")
    for entry in _maps(settings.get("subreddit")):
        value = entry.get("value")
        if isinstance(value, dict):
            entry["value"] = {**SUBREDDIT_DEFAULTS, "title": title, **value}
    return settings


def title_of(network: str, settings: Mapping[str, Any]) -> str:
    """The title that a post of these settings has; empty for none."""
    title = settings.get("title")
    if network == "reddit":
        values = [entry.get("value") for entry in _maps(settings.get("subreddit"))]
        titles = [value.get("title") for value in _maps(values)]
        title = max((text for text in titles if isinstance(text, str)), key=len, default="")
    return title if isinstance(title, str) else ""


def _maps(value: Any) -> list[dict[str, Any]]:
    """The objects in a list; nothing for what is no list."""
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def problems(network: str, settings: Any) -> Problems:
    """What is wrong with the settings, by field; empty when nothing is."""
    field = f"settings.{network}"
    if not isinstance(settings, dict):
        return {field: ["An object of settings is expected."]}
    if size := _excess(settings):
        return {field: [f"All settings together have at most {MAX_BYTES} bytes; these have {size}."]}
    found: Problems = {}
    for path, message in [*_forbidden(settings), *_faults(network, settings)]:
        messages = found.setdefault(".".join([field, *path]), [])
        if message not in messages:
            messages.append(message)
    return found


def validate_defaults(by_network: Any) -> None:
    """The same for a profile's defaults, `{network: settings}`, in which what is required may still be missing."""
    if not isinstance(by_network, dict):
        raise Invalid("Settings by network are expected.", fields={"network_settings": ["An object is expected."]})
    found: Problems = {}
    for network, settings in by_network.items():
        for name, messages in problems(str(network), settings).items():
            left = [message for message in messages if not message.startswith(_NEEDED)]
            if left:
                found[name.replace("settings.", "network_settings.", 1)] = left
    if found:
        raise Invalid("These settings do not do.", code="settings_invalid", fields=found)


def describe(network: str) -> dict[str, Any]:
    """What a form needs: `{network, name, schema, defaults, fields}`; a field is `{name, label, required, values,
    looked_up}`: `looked_up` names the method by which Postiz lists the choices of the account."""
    schema = SCHEMAS.get(network, _ANY)
    needed = set(schema["required"])
    fields = [
        {
            "name": name,
            "label": part["title"],
            "required": name in needed,
            "values": part.get("enum"),
            "looked_up": LOOKED_UP.get((network, name)),
        }
        for name, part in schema["properties"].items()
    ]
    defaults = deepcopy(DEFAULTS.get(network, {}))
    return {
        "network": network,
        "name": name_of(network),
        "schema": deepcopy(schema),
        "defaults": defaults,
        "fields": fields,
    }


# Networks that we know nothing about: one flat object.
_ANY: Schema = {
    "type": "object",
    "properties": {},
    "required": [],
    "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
}
_NEEDED = "This is needed"


def _excess(settings: Settings) -> int:
    """Its size when that is too much; 0 otherwise."""
    try:
        size = len(json.dumps(settings, allow_nan=False, ensure_ascii=False).encode("utf-8", "replace"))
    except (TypeError, ValueError, RecursionError):
        return 10**9
    return size if size > MAX_BYTES else 0


def _forbidden(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Keys that are not the caller's to send, at any depth."""
    if isinstance(value, dict):
        for key, part in value.items():
            if _AUTOMATION in key:
                yield path, f"No key may contain {_AUTOMATION!r}: it starts automations of Postiz."
            elif not path and key in RESERVED:
                yield (key,), "This is set by EditAI itself: leave it out."
            yield from _forbidden(part, (*path, key))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _forbidden(part, (*path, str(number)))


def _faults(network: str, settings: Settings) -> Iterator[tuple[tuple[str, ...], str]]:
    for error in sorted(_validator(network).iter_errors(settings), key=lambda error: [*map(str, error.absolute_path)]):
        path = tuple(map(str, error.absolute_path))
        if error.validator == "required":
            missing = [name for name in error.validator_value if name not in error.instance]
            yield from (((*path, name), _needed(error.schema["properties"].get(name, {}))) for name in missing)
        else:
            yield path, _say(error)
    if network in SCHEMAS:
        yield from _typing_errors(network, settings)
    if network == "youtube" and "thumbnail" in settings:
        # an address of somebody's choice could show another picture once it was approved
        yield ("thumbnail",), "The thumbnail is the clip's cover: set that, and leave this out."
    if network == "youtube" and (length := _tags_length(settings.get("tags"))) > _YOUTUBE_TAGS_MAX:
        yield ("tags",), f"All tags together have at most {_YOUTUBE_TAGS_MAX} characters; these have {length}."
    if network == "reddit":
        yield from _reddit_faults(settings.get("subreddit"))


@cache
def _validator(network: str) -> Draft202012Validator:
    return Draft202012Validator(SCHEMAS.get(network, _ANY))


def _needed(part: Mapping[str, Any]) -> str:
    label = f" ({part['title']})" if "title" in part else ""
    if "enum" in part:
        return f"{_NEEDED}{label}: one of {', '.join(part['enum'])}."
    return f"{_NEEDED}{label}."


_TYPES = {
    "string": "a text",
    "boolean": "true or false",
    "number": "a number",
    "object": "an object",
    "array": "a list",
    "null": "null",
}


def _say(error: ValidationError) -> str:
    """The validator's finding in plain words, without the value that was sent."""
    limit: Any = error.validator_value
    if error.validator == "minLength" and not error.instance:
        return f"{_NEEDED}."
    words = {
        "enum": lambda: f"One of {', '.join(map(str, limit))} is expected.",
        "type": lambda: f"Expected is {_types(limit)}.",
        "minLength": lambda: f"At least {limit} characters.",
        "maxLength": lambda: f"At most {limit} characters.",
        "minItems": lambda: f"At least {limit} of them.",
        "maxItems": lambda: f"At most {limit} of them.",
        "minimum": lambda: f"At least {limit}.",
        "maximum": lambda: f"At most {limit}.",
        "pattern": lambda: "This is not an address of the kind that is expected.",
    }
    say = words.get(str(error.validator))
    return say() if say else "This does not fit what the network expects."


def _types(names: str | list[str]) -> str:
    return " or ".join(_TYPES[name] for name in ([names] if isinstance(names, str) else names))


def _typing_errors(network: str, settings: Settings) -> Iterator[tuple[tuple[str, ...], str]]:
    known = list(SCHEMAS[network]["properties"])
    plain = {_plain(name): name for name in known}
    for key in settings:
        if key in known or key in RESERVED:
            continue
        near = plain.get(_plain(key)) or next(iter(get_close_matches(key, known, n=1, cutoff=_ALIKE)), None)
        if near:
            yield (key,), f"{NAMES[network]} knows no such setting. Did you mean {near}?"


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _tags_length(tags: Any) -> int:
    """As YouTube counts: tags with spaces have quotes around them."""
    texts = [tag.get("value") for tag in _maps(tags)]
    return sum(len(text) + (2 if " " in text else 0) for text in texts if isinstance(text, str))


def _reddit_faults(entries: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    for number, entry in enumerate(entries if isinstance(entries, list) else []):
        value = entry.get("value") if isinstance(entry, dict) else None
        if not isinstance(value, dict):
            continue
        path = ("subreddit", str(number), "value")
        if value.get("type") == "link" and not value.get("url"):
            yield (*path, "url"), f"{_NEEDED} for a link."
        if value.get("is_flair_required") is True and not value.get("flair"):
            yield (*path, "flair"), f"{_NEEDED}: this subreddit demands a flair."
