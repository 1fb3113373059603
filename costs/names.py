"""What ids in the books are called, for people. Apps that know a kind of thing register how to look it up.

register_names("project", find)
"""

from collections.abc import Callable, Collection, Mapping
from uuid import UUID

from profiles.models import Profile

Find = Callable[[Profile, Collection[UUID]], Mapping[UUID, str]]
_finders: dict[str, Find] = {}


def register_names(kind: str, find: Find) -> None:
    """`find(profile, ids)` gives the names of those that are still there, in the profile's scope, by one query."""
    _finders[kind] = find


def names_of(kind: str, profile: Profile, ids: Collection[UUID]) -> Mapping[UUID, str]:
    """The names that are known; things that were deleted have none any more."""
    return _finders[kind](profile, ids) if ids and kind in _finders else {}
