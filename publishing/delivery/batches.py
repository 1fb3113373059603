"""The end of a batch: when nothing of it moves by itself any more, that is told once."""

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q
from django.utils import timezone

from profiles.models import Profile
from publishing import news
from publishing.models import Batch, Publication
from publishing.states import OPEN, State

# what is not confirmed is under way until a person was told to look at it
_WORKING = Q(state__in=sorted(OPEN - {State.UNCONFIRMED, State.MISSED})) | Q(
    state=State.UNCONFIRMED, error__is_told=False
)
_AT_ONCE = 50


def finish_batches(profile: Profile) -> int:
    """Ends the profile's batches of which nothing is under way. Returns how many. Safe to run anywhere at once."""
    working = Publication.objects.filter(_WORKING, batch=OuterRef("pk"))
    over = Batch.objects.for_profile(profile).filter(~Exists(working), finished_at=None)
    return sum(_finish(batch) for batch in over.order_by("created_at", "id")[:_AT_ONCE])


def _finish(batch: Batch) -> bool:
    with transaction.atomic():
        batch.finished_at = timezone.now()
        if not Batch.objects.filter(pk=batch.pk, finished_at=None).update(finished_at=batch.finished_at):
            return False
        rows = Publication.objects.filter(batch=batch).order_by().values_list("state").annotate(count=Count("pk"))
        news.tell_finished(batch, {str(state): count for state, count in rows})
    return True
