"""Posts as Postiz lists them: as few calls as possible for the dates that matter."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from publishing.delivery.fingerprints import AROUND, earlier, matches
from publishing.models import Publication
from publishing.postiz.client import Postiz
from publishing.postiz.errors import ListTooLong
from publishing.postiz.replies import Post

_APART = timedelta(days=1)  # dates further apart are asked for separately
WIDE = timedelta(days=30)
_SHORTEST = timedelta(seconds=2)  # a list that is too long is asked for in halves down to this
_EARLIER = 3  # attempts that are looked for as well


def dates_of(publication: Publication) -> list[datetime]:
    """Where its posts would be: by its fingerprint and those of its last attempts."""
    dates = [at for at, _ in earlier(publication)[-_EARLIER:]]
    return dates + ([publication.fingerprint_at] if publication.fingerprint_at else [])


def around(postiz: Postiz, dates: Iterable[datetime]) -> list[Post]:
    """The posts at these dates, and others in between. Raises PostizError."""
    found: dict[str, Post] = {}
    for cluster in _clusters(sorted(set(dates))):
        found |= {post.id: post for post in _listed(postiz, cluster)}
    return list(found.values())


def _clusters(dates: Sequence[datetime]) -> list[list[datetime]]:
    clusters: list[list[datetime]] = []
    for date in dates:
        if clusters and date - clusters[-1][-1] <= _APART:
            clusters[-1].append(date)
        else:
            clusters.append([date])
    return clusters


def _listed(postiz: Postiz, dates: Sequence[datetime]) -> list[Post]:
    try:
        return postiz.list_posts(dates[0] - AROUND, dates[-1] + AROUND)
    except ListTooLong:
        if len(dates) == 1:
            raise
    half = len(dates) // 2
    return _listed(postiz, dates[:half]) + _listed(postiz, dates[half:])


def by_id(postiz: Postiz, post_ids: Collection[str], dates: Iterable[datetime]) -> dict[str, Post]:
    """Posts that were moved, by their ids, up to 30 days from where they were. Raises PostizError."""
    known = list(dates)
    posts = _between(postiz, min(known) - WIDE, max(known) + WIDE)
    return {post.id: post for post in posts if post.id in post_ids}


def _between(postiz: Postiz, start: datetime, end: datetime) -> list[Post]:
    try:
        return postiz.list_posts(start, end)
    except ListTooLong:
        if end - start < _SHORTEST:
            raise
    middle = start + (end - start) / 2
    return _between(postiz, start, middle) + _between(postiz, middle, end)


def of_publication(publication: Publication, posts: Iterable[Post]) -> list[Post]:
    """Its posts among these: by id, else by the fingerprints of its attempts."""
    rows = list(posts)
    if publication.external_post_id:
        known = [post for post in rows if post.id == publication.external_post_id]
        if known:
            return known
    return _made_by(publication, rows)


def strays(publication: Publication, own: Post, posts: Iterable[Post]) -> list[Post]:
    """Posts of its attempts besides `own`, the one that is followed: nobody wants them."""
    return [post for post in _made_by(publication, posts) if post.id != own.id]


def _made_by(publication: Publication, posts: Iterable[Post]) -> list[Post]:
    dates = dates_of(publication)
    return [post for post in posts if any(matches(post, publication, at) for at in dates)]
