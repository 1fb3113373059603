"""Posts judged by the networks' rules, with the settings and the file that they would go out with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from profiles.errors import Conflict, Invalid
from profiles.models import Profile, StoredFile
from publishing.models import Publication, PublishingSettings
from publishing.preferences import preferences_of
from publishing.renditions.files import fresh
from publishing.rules import network_settings, preflight
from publishing.rules.rulebook import Finding

if TYPE_CHECKING:
    from publishing.planning.plan import Planned


def check_planned(
    profile: Profile,
    preferences: PublishingSettings,
    given: Mapping[str, Mapping[str, Any]],
    rows: "Sequence[Planned]",
) -> None:
    """Gives each row its settings, its file and its findings: the same number of queries for any number of rows.
    `given`: the wish's own settings, by network."""
    for row in rows:
        network = row.integration.identifier
        row.settings = network_settings.effective(
            preferences.network_settings, network, given.get(network), title=row.title, clip_name=row.clip.name
        )
    items = [preflight.Item(row.clip, row.integration, row.caption, row.first_comment, row.settings) for row in rows]
    made = fresh(profile, list({row.clip.pk: row.clip for row in rows}.values()))
    for row, found in zip(rows, preflight.check_many(profile=profile, items=items), strict=True):
        rendition = made.get((row.clip.pk, row.integration.identifier))
        row.file = rendition.file if rendition else row.clip.file
        row.cover = row.clip.cover
        row.findings = found


@dataclass(frozen=True)
class Checked:
    """What a publication is to hold: the changed words, and the media as they are now."""

    words: dict[str, Any]
    media: dict[str, Any]


def check_again(profile: Profile, row: Publication, words: Mapping[str, Any], *, for_sending: bool = False) -> Checked:
    """Judges a publication that there is, with `words` (caption, first_comment, settings) instead of its own.

    `settings` are put over those that it has. Raises Invalid (`rules_broken`), Conflict (`clip_gone`; and for sending
    `clip_not_ready`, `clip_stale`).
    """
    clip = row.clip
    if clip is None or clip.trashed_at is not None:
        raise Conflict("Its clip is gone: restore it first.", code="clip_gone")
    if for_sending:
        _check_clip(clip)
    changed = dict(words)
    network = row.integration.identifier
    if "settings" in changed:
        changed["settings"] = network_settings.effective(
            preferences_of(profile).network_settings, network, {**row.settings, **changed["settings"]}
        )
    now = {"caption": row.caption, "first_comment": row.first_comment, "settings": row.settings, **changed}
    found = preflight.check(profile=profile, clip=clip, integration=row.integration, **now)
    failed = [one for one in found.failures if _counts(one, for_sending)]
    if failed:
        refuse_findings(row, failed)
    made = fresh(profile, [clip]).get((clip.pk, network))
    file: StoredFile | None = made.file if made else clip.file
    media = {"file": file, "sha256": file.sha256 if file else "", "cover": clip.cover, "clip_name": clip.name}
    return Checked(changed, media)


def _counts(finding: Finding, for_sending: bool) -> bool:
    """What is wrong with the clip itself matters when it is sent, not while the words are written."""
    return for_sending or finding.field != "clip_id"


def _check_clip(clip: Any) -> None:
    if clip.file_id is None or clip.state != clip.State.READY:
        raise Conflict("Its clip is not rendered.", code="clip_not_ready")
    if clip.is_stale:
        raise Conflict("Its clip is out of date: render it again first.", code="clip_stale")


def refuse_findings(row: Publication, failed: Sequence[Finding]) -> None:
    fields: dict[str, list[str]] = {}
    for finding in failed:
        fields.setdefault(finding.field, []).append(finding.message)
    details = [{**finding.as_dict(), "integration_id": row.integration.external_id} for finding in failed]
    text = "The network would not take this: see fields."
    raise Invalid(text, code="rules_broken", fields=fields, details=details)
