"""What the networks allow, compared with a length."""

from typing import Any

from editai.clips.models import ExportPreset
from profiles.errors import NotFound

DEFAULT = "tiktok"


def default_preset() -> ExportPreset:
    """What a clip is made for when nobody says. NotFound when the row has been taken away."""
    preset = ExportPreset.objects.filter(slug=DEFAULT).first() or ExportPreset.objects.first()
    if preset is None:
        raise NotFound
    return preset


def exceeded_limits(seconds: float) -> list[dict[str, Any]]:
    """Presets for which a clip of `seconds` is too long or too short; nothing for an empty project. One query."""
    found: list[dict[str, Any]] = []
    if seconds <= 0:
        return found
    for preset in ExportPreset.objects.all():
        fact = {"preset": preset.slug, "name": preset.name}
        if preset.max_seconds is not None and seconds > preset.max_seconds:
            found.append({**fact, "limit": "max_seconds", "seconds": float(preset.max_seconds)})
        if preset.min_seconds is not None and seconds < preset.min_seconds:
            found.append({**fact, "limit": "min_seconds", "seconds": float(preset.min_seconds)})
    return found
