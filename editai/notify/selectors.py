"""Reads with thought in them."""

from django.db.models import Prefetch
from django_filters import rest_framework as filters

from editai.notify.events import events
from editai.notify.models import Delivery, Notification
from profiles.models import Profile, Role, User
from profiles.tenancy import GuardedQuerySet


def notifications_of(*, profile: Profile, user: User, role: Role) -> GuardedQuerySet:
    """What was told in the profile, with the deliveries that the member may see: owners all, others their own, and
    nothing of what only owners are told."""
    rows: GuardedQuerySet = Notification.objects.for_profile(profile)
    deliveries = Delivery.objects.for_profile(profile).select_related("target").order_by("id")
    if role != Role.OWNER:
        deliveries = deliveries.filter(target__user=user)
        rows = rows.exclude(event__in=[event.name for event in events() if event.owners_only])
    return rows.prefetch_related(Prefetch("deliveries", deliveries))


class NotificationFilter(filters.FilterSet):
    class Meta:
        model = Notification
        fields = ("event",)
