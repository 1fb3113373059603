"""Writes about caption sets and hashtag sets, and what was used last."""

from collections.abc import Mapping
from contextlib import contextmanager
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import OuterRef, QuerySet, Subquery

from profiles.api.errors import CHECK_FIELDS
from profiles.errors import Conflict, Invalid, NotFound
from profiles.models import Profile
from publishing.models import CaptionSet, HashtagSet, Integration, PublicationEvent
from publishing.models.publication import Publication
from publishing.planning.captions import BadTemplate, placeholders_in

TEXTS = ("text", "first_comment", "title")
TEMPLATE = "template"  # in the detail of a publication's first line of history


@contextmanager
def _named_once(what: str) -> Any:
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise Conflict(
            f"There is a {what} of this name already.", code="name_taken", fields={"name": ["Choose another name."]}
        ) from error


def hashtagset_create(*, profile: Profile, **fields: Any) -> HashtagSet:
    with _named_once("hashtag set"):
        row: HashtagSet = HashtagSet.objects.create(profile=profile, **fields)
    return row


def hashtagset_update(*, profile: Profile, row: HashtagSet, **changes: Any) -> HashtagSet:
    return _changed(profile, row, "hashtag set", changes)


def captionset_create(*, profile: Profile, **fields: Any) -> CaptionSet:
    """Raises Invalid when a text cannot be filled in, Conflict when the name is taken."""
    check_templates(fields)
    with _named_once("caption set"):
        row: CaptionSet = CaptionSet.objects.create(profile=profile, **fields)
    return row


def captionset_update(*, profile: Profile, row: CaptionSet, **changes: Any) -> CaptionSet:
    """Raises as `captionset_create` does. Publications keep the words that they were given."""
    check_templates(changes)
    return _changed(profile, row, "caption set", changes)


def _changed(profile: Profile, row: Any, what: str, changes: Mapping[str, Any]) -> Any:
    """The row as it is afterwards; NotFound when somebody has deleted it meanwhile."""
    with _named_once(what):
        found = type(row).objects.for_profile(profile).select_for_update().filter(pk=row.pk).first()
        if found is None:
            raise NotFound
        for name, value in changes.items():
            setattr(found, name, value)
        found.save(update_fields=[*changes, "updated_at"])
    return found


def captionset_set_default(*, profile: Profile, row: CaptionSet, is_default: bool) -> CaptionSet:
    """Makes it the set that is used when a post comes without words; or none."""
    mine = CaptionSet.objects.for_profile(profile)
    with transaction.atomic():
        list(mine.select_for_update().order_by("pk").values_list("pk"))  # of two at once, the later one counts
        mine.filter(is_default=True).update(is_default=False)
        if is_default:
            mine.filter(pk=row.pk).update(is_default=True)
    row.is_default = is_default
    return row


def default_set(profile: Profile) -> CaptionSet | None:
    row: CaptionSet | None = (
        CaptionSet.objects.for_profile(profile).filter(is_default=True).select_related("hashtags").first()
    )
    return row


def check_templates(fields: Mapping[str, Any]) -> None:
    """Invalid, naming each text of a caption set that cannot be filled in."""
    texts = {name: fields[name] for name in TEXTS if name in fields}
    for network, variant in fields.get("variants", {}).items():
        texts |= {f"variants.{network}.{name}": text for name, text in variant.items()}
    problems = {}
    for name, text in texts.items():
        try:
            placeholders_in(text)
        except BadTemplate as error:
            problems[name] = [str(error)]
    if problems:
        raise Invalid(CHECK_FIELDS, code="unknown_placeholder", fields=problems)


# --- used last ------------------------------------------------------------------------------------------


def last_used(profile: Profile) -> dict[str, dict[str, Any]]:
    """By network, what it was published with last: {caption, first_comment, title, hashtags, caption_set, used_at}, the
    texts as templates. `caption_set` is None when it is gone. Three queries."""
    newest = Publication.objects.for_profile(profile).filter(integration=OuterRef("pk")).order_by("-created_at", "-id")
    channels = Integration.objects.for_profile(profile).annotate(last=Subquery(newest.values("pk")[:1]))
    ids = dict(channels.exclude(last=None).values_list("last", "identifier"))
    sets = {str(pk): pk for pk in CaptionSet.objects.for_profile(profile).values_list("pk", flat=True)}
    found: dict[str, dict[str, Any]] = {}
    for event in _beginnings(profile, list(ids)):
        network = ids[event.publication_id]
        words = event.detail[TEMPLATE]
        words["caption_set"] = sets.get(words["caption_set"])
        found.setdefault(network, {**words, "used_at": event.at})
    return found


def _beginnings(profile: Profile, publication_ids: list[Any]) -> "QuerySet[PublicationEvent]":
    """The first lines of these publications that remember a template, the latest first."""
    rows = PublicationEvent.objects.for_profile(profile).filter(publication__in=publication_ids, from_state="")
    return rows.filter(detail__has_key=TEMPLATE).order_by("-at", "-id")
