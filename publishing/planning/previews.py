"""A caption set as it would read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from editai.clips.models import Clip
from profiles.models import Profile
from publishing.channels.integrations import usable
from publishing.models import CaptionSet
from publishing.planning.captions import Words
from publishing.planning.schedule import zone_of
from publishing.planning.wishes import template_of
from publishing.preferences import preferences_of
from publishing.rules import rulebook, text_length


@dataclass(frozen=True)
class Preview:
    """`length` as the network counts; `limit` None when none is known."""

    network: str
    caption: str
    first_comment: str
    title: str
    length: int
    limit: int | None


def preview(
    *,
    profile: Profile,
    caption_set: CaptionSet,
    clip: Clip,
    networks: Sequence[str] | None,
    when: datetime,
    number: int = 1,
) -> list[Preview]:
    """The words of the set for each network; without `networks`, for those of the profile's channels."""
    if networks is None:
        networks = sorted(set(usable(profile).order_by().values_list("identifier", flat=True)))
    book, zone = rulebook.load(), zone_of(preferences_of(profile))
    words = Words(clip.name, clip.project.name, profile.name, when, zone, number)
    found = []
    for network in dict.fromkeys(networks):
        caption, comment, title = template_of(caption_set, network).text(words)
        rule = book.of(network).get("caption_max")
        length = text_length.length(network, caption)
        found.append(Preview(network, caption, comment, title, length, int(rule.value) if rule else None))
    return found
