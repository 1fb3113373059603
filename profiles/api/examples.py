"""Examples for the OpenAPI document: made from the shapes themselves, so that none can go out of date.

What a field is called decides what stands there, as far as that fits its type; a test holds every example against
its own schema.
"""

from typing import Any

_ID = "018f3c1e-7b5a-7c3e-9f2d-4a6b8c0d1e2f"
_NAMED: dict[str, Any] = {
    "name": "Autumn shoes",
    "username": "anna",
    "password": "a long sentence is best",
    "old_password": "a long sentence is best",
    "new_password": "an even longer sentence",
    "token": "eai_4q1Zx…",
    "api_key": "the key you got there",
    "slug": "autumn-shoes",
    "color": "#3b5bdb",
    "role": "editor",
    "note": "for Ben",
    "notes": "the laces, close up",
    "description": "Filmed in the shop",
    "keywords": ["laces", "sole"],
    "tags": ["b-roll"],
    "start_time": 12.5,
    "end_time": 15.5,
    "duration": 3.0,
    "duration_seconds": 3.0,
    "target_duration": 30.0,
    "progress": 40,
    "eta_seconds": 25,
    "step": "Encoding",
    "width": 1080,
    "height": 1920,
    "fps": 30.0,
    "size": 18350080,
    "last4": "a1b2",
    "file_name": "shoes.mp4",
    "video_codec": "h264",
    "audio_codec": "aac",
    "fingerprint": "4d967a30111bf29f0eba01c448b375c1629b2fed01cdfcc3aed91f1b57d5dd5e",
    "comment": "The logo is the one of last year",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "unit_price": "0.30",
    "quantity": "6120.000000",
    "currency": "USD",
    "x": 0.5,
    "y": 0.5,
    "zoom": 1.0,
    "volume": 1.0,
    "status": "succeeded",
    "code": "disk_full",
    "message": "The disk is full: make room on the server, then try again.",
    "next_step": "Make room, then retry.",
    "detail": "answers",
    "srt_text": "1\n00:00:01,000 --> 00:00:03,000\nLook at the laces\n",
}
_FORMATS: dict[str, Any] = {
    "uuid": _ID,
    "date-time": "2026-11-20T09:30:00Z",
    "date": "2026-11-20",
    "uri": "http://127.0.0.1:8000/api/v1/…",
    "binary": None,
}
_MAX_DEPTH = 6


def add_examples(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Gives each object among the components one example of itself."""
    schemas = result.get("components", {}).get("schemas", {})
    for schema in schemas.values():
        if schema.get("type") == "object" and schema.get("properties") and "example" not in schema:
            schema["example"] = _example("", schema, schemas, 0)
    return result


def _example(name: str, schema: dict[str, Any], schemas: dict[str, Any], depth: int) -> Any:
    if "$ref" in schema:
        return _example(name, schemas.get(schema["$ref"].rsplit("/", 1)[-1], {}), schemas, depth)
    for combined in ("allOf", "oneOf", "anyOf"):
        if combined in schema:
            return _example(name, schema[combined][0], schemas, depth)
    if "default" in schema and schema["default"] not in (None, "", []):
        return schema["default"]
    kind = schema.get("type")
    if "enum" in schema:
        wanted = _NAMED.get(name)
        return wanted if wanted in schema["enum"] else next(value for value in schema["enum"] if value is not None)
    if kind == "object":
        return _object(schema, schemas, depth)
    if kind == "array":
        named = _NAMED.get(name)
        if isinstance(named, list):
            return named
        inner = _example(name.removesuffix("s"), schema.get("items", {}), schemas, depth + 1)
        return [] if depth > _MAX_DEPTH or inner is None else [inner]
    return _simple(name, kind, schema)


def _object(schema: dict[str, Any], schemas: dict[str, Any], depth: int) -> dict[str, Any]:
    if depth > _MAX_DEPTH:
        return {}
    found = {}
    for name, inner in schema.get("properties", {}).items():
        if inner.get("format") != "binary":
            found[name] = _example(name, inner, schemas, depth + 1)
    return found


def _simple(name: str, kind: str | None, schema: dict[str, Any]) -> Any:
    named = _NAMED.get(name)
    if kind == "boolean":
        return name not in {"mute", "is_stale", "needs_reentry", "is_trashed"}
    if kind in {"integer", "number"}:
        fits = isinstance(named, int | float) and not (kind == "integer" and isinstance(named, float))
        return _bounded(named if fits else schema.get("minimum", 1), schema)
    if kind == "string":
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        text = named if isinstance(named, str) else name.replace("_", " ") or "text"
        return text[: schema.get("maxLength", len(text))]
    return {} if named is None else named


def _bounded(value: Any, schema: dict[str, Any]) -> Any:
    value = max(value, schema.get("minimum", value))
    return min(value, schema.get("maximum", value))
