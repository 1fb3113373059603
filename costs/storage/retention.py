"""How long files that can be made again are kept: set by owners, applied every night."""

import logging
from collections.abc import Mapping

from django.db import transaction

from costs.models import StorageRetention
from costs.storage.freeing import free_up
from costs.storage.kinds import freeable_kinds
from costs.storage.words import in_words
from profiles import scope
from profiles.api.errors import CHECK_FIELDS
from profiles.errors import Invalid
from profiles.models import Profile

log = logging.getLogger(__name__)


def retention_set(*, profile: Profile, days: Mapping[str, int | None]) -> None:
    """Keeps files of these kinds for so many days, or (None) until somebody frees them; other kinds stay as they are.
    Invalid (`retention`) for a kind that cannot be made again."""
    known = freeable_kinds()
    wrong = sorted(set(days) - set(known))
    if wrong:
        problem = f"{', '.join(wrong)}: only what can be made again goes by itself ({', '.join(known)})."
        raise Invalid(CHECK_FIELDS, fields={"retention": [problem]})
    with transaction.atomic():
        for kind, count in sorted(days.items()):
            if count is None:
                StorageRetention.objects.for_profile(profile).filter(kind=kind).delete()
            else:
                StorageRetention.objects.update_or_create(profile=profile, kind=kind, defaults={"days": count})


def apply_everywhere() -> int:
    """Applies every brand's retention, each in its own scope; returns how many bytes that freed. One that fails does
    not keep the others."""
    freed = 0
    for profile in Profile.objects.filter(state=Profile.State.ACTIVE).iterator(chunk_size=200):
        try:
            with scope.activate(profile.pk):
                freed += apply(profile)
        except Exception:  # the others have their turn, and this one the next night
            log.exception("The retention of profile %s could not be applied.", profile.pk)
    return freed


def apply(profile: Profile) -> int:
    """Frees what is older than the profile's retention allows; returns how many bytes."""
    freed = 0
    known = freeable_kinds()
    for kind, days in list(StorageRetention.objects.for_profile(profile).values_list("kind", "days")):
        if kind not in known:
            continue  # set before a change of the program; nothing of the kind is kept any more
        result = free_up(profile=profile, kinds=[kind], older_than_days=days, dry_run=False)
        gone = result.kinds[0].goes
        if gone.files:
            log.info("Retention freed %d files of the kind %s, %s.", gone.files, kind, in_words(gone.bytes))
        freed += gone.bytes
    return freed
