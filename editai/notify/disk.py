"""Tells owners when the disk is nearly full: uploads stop at the free-space mark."""

import shutil

from django.conf import settings
from django.utils import timezone

from editai.notify.events import DISK_LOW
from editai.notify.services import notify
from profiles import scope
from profiles.models import Profile

_GIB = 2**30


def watch() -> int:
    """Tells each profile at most once a day (UTC) while less than FREE_SPACE_MARK bytes are free on the data volume.
    Returns how many were told."""
    free = shutil.disk_usage(settings.DATA_DIR).free
    if free >= settings.FREE_SPACE_MARK:
        return 0
    told = 0
    for profile in Profile.objects.filter(state=Profile.State.ACTIVE).iterator(chunk_size=200):
        with scope.activate(profile.pk):
            row = notify(
                profile=profile,
                event=DISK_LOW.name,
                once_key=f"{DISK_LOW.name}:{timezone.now():%Y-%m-%d}",
                title=DISK_LOW.label,
                text=f"{free / _GIB:.1f} GiB are free; below {settings.FREE_SPACE_MARK / _GIB:.1f} GiB no upload is "
                "taken. Make room on the server, or empty the trash.",
                payload={"free_bytes": free, "mark_bytes": settings.FREE_SPACE_MARK},
            )
        told += row is not None
    return told
