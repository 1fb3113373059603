"""The dates by which a post is found again whose reply was lost.

Postiz keeps dates to the millisecond. So each attempt gets one that no other publication of its channel has, and none
but this attempt can have made the post that carries it. Those of earlier attempts are remembered on the row:
`earlier_fingerprints` is a list of {at (ISO), post_id, is_void}; `is_void`: it was taken back, or failed, so its post
is not what is wanted any more.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from publishing.models import Publication
from publishing.postiz.replies import Post

AHEAD = timedelta(seconds=100)  # of "now": leaves time to take it back, and no doubt that it was in time
AROUND = timedelta(seconds=1)
_MOST = 20  # earlier ones that are kept; older ones lie too far back to come true


def candidates(publication: Publication) -> Iterator[datetime]:
    """Dates for a new attempt, the first that is free is to be taken: its own time to the second, or as soon as
    possible, and milliseconds that make it its own."""
    soon = timezone.now() + AHEAD
    base = soon if publication.is_immediate else max(publication.scheduled_at, soon)
    base = base.replace(microsecond=0)
    start = publication.pk.int % 999
    for number in range(999):
        yield base + timedelta(milliseconds=1 + (start + number) % 999)


def remembered(publication: Publication, *, is_void: bool) -> list[dict[str, Any]]:
    """`earlier_fingerprints` once the present one has become one of them."""
    earlier = list(publication.earlier_fingerprints)
    if publication.fingerprint_at is not None:
        at = publication.fingerprint_at.isoformat()
        earlier.append({"at": at, "post_id": publication.external_post_id, "is_void": is_void})
    return earlier[-_MOST:]


def anew(publication: Publication, *, is_void: bool) -> dict[str, Any]:
    """The fields of a row for a new attempt; what the last one left is remembered."""
    return {
        "earlier_fingerprints": remembered(publication, is_void=is_void),
        "fingerprint_at": None,
        "submitting_since": None,
        "submitted_at": None,
        "external_post_id": "",
        "external_group": "",
        "next_check_at": None,
        "checks": 0,
        "error_seen_at": None,
        "may_be_live": False,
        "error": None,
    }


def earlier(publication: Publication) -> list[tuple[datetime, dict[str, Any]]]:
    return [(datetime.fromisoformat(entry["at"]), entry) for entry in publication.earlier_fingerprints]


def matches(post: Post, publication: Publication, at: datetime) -> bool:
    """Whether `post` is what the attempt with this fingerprint made. The date of a post that was moved in Postiz (the
    only ones with microseconds, see `sync`) says nothing: others may be moved there too."""
    if post.channel_id != publication.integration.external_id:
        return False
    is_ours = at.microsecond % 1000 == 0
    return (is_ours and _same_millisecond(post.publish_date, at)) or post.client_ref == str(publication.pk)


def as_loaded(publication: Publication) -> "QuerySet[Publication]":
    """Its row, while it is in the state, and at the attempt, in which it was loaded: what was found out about one
    attempt must not be said of the next."""
    rows: QuerySet[Publication] = Publication.objects.filter(pk=publication.pk, state=publication.state)
    return rows.filter(fingerprint_at=publication.fingerprint_at)


def _same_millisecond(one: datetime, other: datetime) -> bool:
    return int(one.timestamp() * 1000) == int(other.timestamp() * 1000)
