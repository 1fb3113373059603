"""How much a brand may keep. An upload that has no room is refused before its first byte; what passed that at the same
moment as another one is looked at again when it is written down, where the first one wins."""

from collections.abc import Callable
from typing import NoReturn

from django.conf import settings
from django.db.models import BigIntegerField, Sum, Value
from django.db.models.functions import Coalesce

from costs.models import StorageQuota
from costs.storage.words import in_words
from jobs.leftovers import unlinked
from profiles import scope
from profiles.api.uploads import register_upload_limit
from profiles.errors import TooLarge
from profiles.models import Profile, StoredFile
from profiles.tenancy import GuardedQuerySet


def quota_of(profile: Profile) -> int:
    """Bytes; 0: no limit."""
    row = StorageQuota.objects.for_profile(profile).first()
    return int(row.max_bytes) if row is not None else settings.STORAGE_QUOTA


def stored_files(profile: Profile) -> GuardedQuerySet:
    """All that counts: what is being written is not there yet, and what is doomed is gone."""
    rows: GuardedQuerySet = StoredFile.objects.for_profile(profile).filter(state=StoredFile.State.STORED)
    return rows.order_by()


def total_of(files: GuardedQuerySet) -> int:
    """Bytes of these files together."""
    total: int = files.aggregate(total=Coalesce(Sum("size"), Value(0), output_field=BigIntegerField()))["total"]
    return total


def upload_limit(profile: Profile) -> Callable[[int], None]:
    """What judges an upload: called with the bytes that it has at least, it raises TooLarge (`storage_quota`) when they
    find no room any more."""
    with scope.activate(profile.pk):
        quota = quota_of(profile)
        used = total_of(stored_files(profile)) if quota else 0

    def judge(coming: int) -> None:
        if quota and used + max(coming, 0) > quota:
            _refuse(quota, used, coming)

    return judge


def check_upload(profile: Profile, file: StoredFile) -> None:
    """Raises TooLarge when a received file is too much. Call it in the transaction that points a row to it, as the last
    lock that is taken there.

    Of several at once the first to come here wins: what others have stored and not written down yet does not count.
    """
    quota = quota_of(profile)
    if not quota:
        return
    Profile.objects.select_for_update(no_key=True).get(pk=profile.pk)
    others = stored_files(profile).exclude(pk=file.pk)
    used = total_of(others) - total_of(unlinked(others))  # type: ignore[arg-type]
    if used + file.size > quota:
        _refuse(quota, used, file.size)


def _refuse(quota: int, used: int, coming: int) -> NoReturn:
    left = max(0, quota - used)
    raise TooLarge(
        f"There is no room for this upload: this brand may keep {in_words(quota)}, {in_words(used)} are used and "
        f"{in_words(left)} are left, and the upload has {in_words(coming)} or more. An owner can free up storage or "
        "empty the trash; whoever runs this server can allow more.",
        code="storage_quota",
        details=[{"quota_bytes": quota, "used_bytes": used, "remaining_bytes": left, "upload_bytes": max(coming, 0)}],
    )


def register() -> None:
    register_upload_limit("storage quota", upload_limit)
