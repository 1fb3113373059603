"""What a person asks to be published, and what is read for it: clips, channels, words."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from difflib import get_close_matches
from typing import Any
from uuid import UUID

from editai.clips.models import Clip
from editai.projects.models import Project
from profiles.api.errors import CHECK_FIELDS
from profiles.errors import DomainError, Invalid, NotFound
from profiles.models import Profile
from publishing.channels.integrations import listed
from publishing.models import CaptionSet, Integration
from publishing.planning.captions import BadTemplate, Words, escape, fill
from publishing.planning.text_sets import default_set, last_used
from publishing.rules.facts import NETWORKS

MAX_CLIPS = 100
MAX_INTEGRATIONS = 20
MAX_ROWS = 1000
_ALIKE = 0.75  # from this likeness on an unknown network is a typing error


@dataclass(frozen=True)
class Wish:
    """`integration_ids` as the API lists them; `captions` and `settings` by network. `fill_in`: placeholders of the
    caller's own words are filled in, those of caption sets always are. `bulk`: decides how fields are called."""

    clip_ids: Sequence[UUID]
    integration_ids: Sequence[str]
    caption: str | None = None
    captions: Mapping[str, str] = field(default_factory=dict)
    caption_set_id: UUID | None = None
    use_last: bool = False
    first_comment: str | None = None
    fill_in: bool = False
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    schedule_date: datetime | None = None
    schedule_interval_minutes: int | None = None
    use_slots: bool = False
    repost: bool = False
    draft: bool = False
    bulk: bool = False

    @property
    def clip_field(self) -> str:
        return "clip_ids" if self.bulk else "clip_id"


# --- clips and channels ---------------------------------------------------------------------------------


def chosen_clips(profile: Profile, wish: Wish, *, lock: bool) -> list[Clip]:
    """The clips in the order of the wish, with project, file and cover; NotFound when one is not the profile's.

    `lock`: their projects' rows first, then their own, each in the order of their ids: nothing they are made from
    changes until the transaction ends, and two such calls never wait for each other in a circle.
    """
    _check_count("clip", wish.clip_field, wish.clip_ids, MAX_CLIPS)
    rows = Clip.objects.for_profile(profile).filter(pk__in=wish.clip_ids, trashed_at=None)
    if lock:
        projects = Project.objects.for_profile(profile).filter(clips__in=rows.order_by(), trashed_at=None)
        ids = sorted(set(projects.order_by().values_list("pk", flat=True)))
        list(Project.objects.for_profile(profile).filter(pk__in=ids).order_by("pk").select_for_update(no_key=True))
        rows = rows.select_for_update(of=("self",))
    found = {clip.pk: clip for clip in rows.select_related("project", "preset", "file", "cover").order_by("pk")}
    if len(found) < len(wish.clip_ids):
        raise NotFound
    return [found[clip_id] for clip_id in wish.clip_ids]


def chosen_integrations(profile: Profile, wish: Wish) -> list[Integration]:
    """The channels in the order of the wish. 404 when one is not the profile's or is gone, Invalid when one is
    switched off."""
    _check_count("channel", "integration_ids", wish.integration_ids, MAX_INTEGRATIONS)
    rows = listed(profile).filter(external_id__in=wish.integration_ids)
    found = {row.external_id: row for row in rows}
    if len(found) < len(wish.integration_ids):
        # nothing of the answer depends on what was asked for: another profile's channels cannot be told from none
        hint = "There is no such channel: list them again."
        raise DomainError("Not found.", code="not_found", status=404, fields={"integration_ids": [hint]})
    off = [row for row in found.values() if row.is_disabled]
    if off:
        names = ", ".join(str(row) for row in off)
        hint = f"Switched off in Postiz: {names}. Switch it on there, or leave it out."
        raise Invalid(CHECK_FIELDS, code="integration_disabled", fields={"integration_ids": [hint]})
    return [found[external_id] for external_id in wish.integration_ids]


def _check_count(what: str, name: str, ids: Sequence[Any], limit: int) -> None:
    hint = ""
    if not ids:
        hint = f"Choose at least one {what}."
    elif len(ids) > limit:
        hint = f"At most {limit} at once."
    elif len(set(ids)) < len(ids):
        hint = "Each may come once only."
    if hint:
        raise Invalid(CHECK_FIELDS, fields={name: [hint]})


def check_size(wish: Wish) -> None:
    rows = len(wish.clip_ids) * len(wish.integration_ids)
    if rows > MAX_ROWS:
        hint = (
            f"{len(wish.clip_ids)} clips to {len(wish.integration_ids)} channels are {rows} posts; at most {MAX_ROWS}."
        )
        raise Invalid(CHECK_FIELDS, code="too_many_posts", fields={wish.clip_field: [hint]})


def check_networks(wish: Wish, networks: Collection[str]) -> None:
    """Invalid for words or settings of a network that looks like a typing error: they would go nowhere. Those of a
    network that is none of the chosen ones are no mistake."""
    known = {*NETWORKS, *networks}
    found = {}
    for name, given in (("captions", wish.captions), ("settings", wish.settings)):
        for network in given:
            if network not in known and (near := get_close_matches(network, sorted(known), n=1, cutoff=_ALIKE)):
                found[f"{name}.{network}"] = [f"There is no such network. Did you mean {near[0]}?"]
    if found:
        raise Invalid(CHECK_FIELDS, fields=found)


# --- words ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Template:
    """The words for one network before placeholders are filled in. `title`: for networks that want one."""

    caption: str
    first_comment: str = ""
    title: str = ""
    hashtags: tuple[str, ...] = ()
    caption_set: UUID | None = None

    def text(self, words: Words) -> tuple[str, str, str]:
        """Caption, first comment, title. Raises Invalid, naming the field."""
        tagged = replace(words, hashtags=self.hashtags)
        return (
            _filled("caption", self.caption, tagged),
            _filled("first_comment", self.first_comment, words),
            _filled("title", self.title, words),
        )

    def as_detail(self) -> dict[str, Any]:
        """For the history, where `text_sets.last_used` finds it."""
        return {**asdict(self), "caption_set": str(self.caption_set) if self.caption_set else None}


def _filled(name: str, text: str, words: Words) -> str:
    try:
        return fill(text, words)
    except BadTemplate as error:
        raise Invalid(CHECK_FIELDS, code="unknown_placeholder", fields={name: [str(error)]}) from error


def template_of(caption_set: CaptionSet, network: str) -> Template:
    """The words of a set (with `hashtags`) for a network."""
    variant = caption_set.variants.get(network, {})
    return Template(
        variant.get("text", caption_set.text),
        variant.get("first_comment", caption_set.first_comment),
        variant.get("title", caption_set.title),
        tuple(caption_set.hashtags.tags) if caption_set.hashtags else (),
        caption_set.pk,
    )


class Wording:
    """Where the words of a wish come from, by network: its own, else the caption set's, else what was used last, else
    the profile's default set. A few queries, whatever the number of posts."""

    def __init__(self, profile: Profile, wish: Wish, networks: Collection[str]) -> None:
        self.wish = wish
        self._check_one_source()
        self.set = self._chosen_set(profile)
        self.last = last_used(profile) if wish.use_last else {}
        has_words = self.set is not None or wish.caption is not None or wish.use_last
        if not has_words and not set(networks) <= set(wish.captions):
            self.set = default_set(profile)
            if self.set is None:
                hint = "Write a caption, or choose a caption set."
                raise Invalid(CHECK_FIELDS, code="no_caption", fields={"caption": [hint]})

    def _check_one_source(self) -> None:
        wish = self.wish
        given = {
            "caption": wish.caption is not None,
            "caption_set_id": wish.caption_set_id is not None,
            "use_last": wish.use_last,
        }
        names = [name for name, is_given in given.items() if is_given]
        if len(names) > 1:
            hint = "Give one of caption, caption_set_id and use_last."
            raise Invalid(CHECK_FIELDS, fields={names[1]: [hint]})

    def _chosen_set(self, profile: Profile) -> CaptionSet | None:
        wanted = self.wish.caption_set_id
        if wanted is None:
            return None
        row: CaptionSet | None = (
            CaptionSet.objects.for_profile(profile).filter(pk=wanted).select_related("hashtags").first()
        )
        if row is None:
            raise NotFound
        return row

    def template(self, network: str) -> Template:
        """The words for `network`; a text of the wish's own goes before all others."""
        template = self._base(network)
        own = self.wish.captions.get(network, self.wish.caption)
        if own is not None:
            template = replace(template, caption=self._typed(own), hashtags=())
        if self.wish.first_comment is not None:
            template = replace(template, first_comment=self._typed(self.wish.first_comment))
        return template

    def _typed(self, text: str) -> str:
        """Words that came with the wish are meant as they stand there, unless it says otherwise."""
        return text if self.wish.fill_in else escape(text)

    def _base(self, network: str) -> Template:
        if self.set is not None:
            return template_of(self.set, network)
        return self._last(network) if self.wish.use_last else Template("")

    def _last(self, network: str) -> Template:
        known = self.last.get(network) or max(self.last.values(), key=lambda item: item["used_at"], default=None)
        if known is None:
            hint = "Nothing was published yet: write a caption, or choose a caption set."
            raise Invalid(CHECK_FIELDS, code="no_caption", fields={"use_last": [hint]})
        words = {name: known[name] for name in ("caption", "first_comment", "title")}
        return Template(**words, hashtags=tuple(known["hashtags"]), caption_set=known["caption_set"])
