"""Why a plan is not carried out: the first kind of reason that there is, with all posts that it concerns."""

from collections.abc import Sequence
from typing import Any

from profiles.errors import Conflict, Invalid
from publishing.planning.plan import Clash, Plan, Planned

MOST = 50  # posts that a refusal names
_ORDER = ("clip_not_ready", "clip_stale", "already_open", "already_published")
_SAY = {
    "clip_not_ready": "Not every clip is rendered yet.",
    "clip_stale": "Not every clip is up to date: render them again first.",
    "already_open": "There is a post of the same clip for the same channel already.",
    "already_published": "This was published before. Send repost: true to publish it again.",
}


def refuse(plan: Plan) -> None:
    """Raises Conflict (a clip, or a post that there is already) or Invalid (`rules_broken`) unless all is well."""
    clashes = [(row, clash) for row in plan.rows for clash in row.clashes if clash.is_refusal]
    for code in _ORDER:
        found = [(row, clash) for row, clash in clashes if clash.code == code]
        if found:
            raise _conflict(plan, code, found)
    check_rules(plan)


def _conflict(plan: Plan, code: str, found: Sequence[tuple[Planned, Clash]]) -> Conflict:
    field = plan.wish.clip_field if code.startswith("clip_") else "repost" if code == "already_published" else ""
    messages = list(dict.fromkeys(clash.message for _, clash in found))[:MOST]
    text = messages[0] if len(messages) == 1 else _SAY[code]
    details = [_detail(row, clash) for row, clash in found[:MOST]]
    return Conflict(text, code=code, fields={field or plan.wish.clip_field: messages}, details=details)


def _detail(row: Planned, clash: Clash) -> dict[str, Any]:
    detail = {"clip_id": row.clip.pk, "integration_id": row.integration.external_id, "message": clash.message}
    if clash.other is not None:
        other = clash.other
        detail |= {
            "id": other.pk,
            "status": other.state,
            "scheduled_at": other.scheduled_at,
            "published_at": other.published_at,
            "release_url": other.release_url or None,
        }
    return detail


def check_rules(plan: Plan) -> None:
    """Raises Invalid (`rules_broken`) with every rule that is broken: by field, and one entry of details for each."""
    fields: dict[str, list[str]] = {}
    details = []
    for row in plan.rows:
        where = f"{row.clip.name} → {row.integration}" if plan.wish.bulk else str(row.integration)
        for finding in row.failed:
            field = plan.wish.clip_field if finding.field == "clip_id" else finding.field
            messages = fields.setdefault(field, [])
            text = f"{where}: {finding.message}"
            if text not in messages and len(messages) < MOST:
                messages.append(text)
            post = {"clip_id": row.clip.pk, "integration_id": row.integration.external_id}
            details.append({**finding.as_dict(), "field": field, **post})
    if details:
        text = "The networks would not take this: see fields."
        raise Invalid(text, code="rules_broken", fields=fields, details=details[:MOST])
