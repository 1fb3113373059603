"""Before anything is uploaded: would the network take this clip with these words and settings?

Every answer names its rule, where that was read, when, and how sure it is. Rules are rows (`NetworkRule`); the engine
itself (`media_rules`, `text_rules`) knows no database.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from editai.clips.models import Clip
from profiles.models import Profile
from publishing.models import Integration
from publishing.renditions.files import fresh
from publishing.rules import media_facts, network_settings
from publishing.rules.media_facts import Media
from publishing.rules.media_rules import check_media
from publishing.rules.rulebook import Book, Finding, Findings, Level, load, sorted_findings
from publishing.rules.text_rules import Words, check_words

__all__ = ["Finding", "Findings", "Item", "Level", "check", "check_many"]

_OURS = "EditAI"


@dataclass(frozen=True)
class Item:
    """One clip for one channel, with what goes with it.

    `settings`: of the channel's network, put together already (`network_settings.effective`). `title`: None for the one
    in the settings. `has_cover`: None to look at the clip.
    """

    clip: Clip
    integration: Integration
    caption: str = ""
    first_comment: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    title: str | None = None
    has_cover: bool | None = None


def check(
    *, profile: Profile, clip: Clip, integration: Integration, book: Book | None = None, **words: Any
) -> Findings:
    """What each rule says of this clip for this channel; `words` are the other fields of `Item`."""
    return check_many(profile=profile, items=[Item(clip, integration, **words)], book=book)[0]


def check_many(*, profile: Profile, items: Sequence[Item], book: Book | None = None) -> list[Findings]:
    """The same for many: two queries however many there are, if the clips came with `file`, `preset` and `media`."""
    book = book or load()
    renditions = fresh(profile, list({item.clip.pk: item.clip for item in items}.values()))
    found = []
    for item in items:
        row = renditions.get((item.clip.pk, item.integration.identifier))
        media = media_facts.of_rendition(row.media) if row else None
        found.append(_check(item, book, media))
    return found


def _check(item: Item, book: Book, rendition: Media | None) -> Findings:
    network = item.integration.identifier
    rules = book.of(network)
    found = [*_state_of_clip(network, item.clip), *_state_of_channel(network, item.integration)]
    if item.clip.file_id is not None:
        is_story = item.settings.get("post_type") == "story"
        found += check_media(network, rules, rendition or media_facts.of_clip(item.clip), is_story=is_story)
    found += check_words(network, rules, _words(item), item.integration)
    found += _settings(network, item)
    return sorted_findings(network, found)


def _words(item: Item) -> Words:
    title = network_settings.title_of(item.integration.identifier, item.settings) if item.title is None else item.title
    has_cover = item.clip.cover_id is not None if item.has_cover is None else item.has_cover
    return Words(item.caption, item.first_comment, title, has_cover)


def _ours(network: str, rule: str, fault: str, fine: str, field: str) -> Finding:
    """About what EditAI itself knows; `fault`: empty when all is well."""
    level = Level.FAIL if fault else Level.PASS
    return Finding(network, rule, level, fault or fine, value=not fault, limit=True, source=_OURS, field=field)


def _state_of_clip(network: str, clip: Clip) -> Iterator[Finding]:
    fault = ""
    if clip.trashed_at is not None:
        fault = "The clip is in the trash: restore it first."
    elif clip.file_id is None or clip.state != Clip.State.READY:
        fault = "The clip is not rendered yet: wait for it, or render it again."
    yield _ours(network, "clip_ready", fault, "The clip is ready.", "clip_id")
    stale = "The clip is out of date, its project has changed since: render it again." if clip.is_stale else ""
    yield _ours(network, "clip_fresh", stale, "The clip is what its project gives now.", "clip_id")


def _state_of_channel(network: str, integration: Integration) -> Iterator[Finding]:
    fault = ""
    if integration.removed_at is not None:
        fault = "This channel is not in Postiz any more: connect it there again."
    elif integration.is_disabled:
        fault = "This channel is switched off in Postiz: switch it on there."
    yield _ours(network, "channel_usable", fault, "The channel can be used.", "integration_ids")


def _settings(network: str, item: Item) -> Iterator[Finding]:
    if item.integration.is_outbox:
        return
    for name, messages in network_settings.problems(network, dict(item.settings)).items():
        for message in messages:
            yield _ours(network, "settings", message, "", name)
