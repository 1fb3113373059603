"""What a plan uses up: the hourly budget of Postiz, and the networks' own limits for a day."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import Count
from django.db.models.functions import TruncDate

from profiles.models import Profile
from publishing.delivery.budget import returns_at
from publishing.models import Integration, NetworkRule, PostizAccount, Publication
from publishing.states import State

if TYPE_CHECKING:
    from publishing.planning.plan import Planned

_COUNTED = frozenset(State) - {State.DRAFT, State.MISSED, State.CANCELLED, State.FAILED, State.REMOVED}


@dataclass(frozen=True)
class DayLimit:
    """More posts of one channel on one day (UTC) than its network is known to take."""

    integration: Integration
    day: date
    posts: int  # of the plan, and those that were there before
    limit: int
    source: str
    checked_on: date
    certainty: str


@dataclass(frozen=True)
class Quota:
    """`rate_limit` and `rate_remaining`: posts an hour, as Postiz last said; None without Postiz. `hours`: how long the
    budget makes the posts that are due at once wait, at the least."""

    posts: int
    rate_limit: int | None
    rate_remaining: int | None
    rate_resets_at: datetime | None
    hours: int
    days: list[DayLimit]


def quota_of(profile: Profile, rows: "Sequence[Planned]", now: datetime) -> Quota:
    """Three queries."""
    account: PostizAccount | None = PostizAccount.objects.for_profile(profile).first()
    posts = sum(not row.integration.is_outbox for row in rows)
    days = _days(profile, rows)
    if account is None:
        return Quota(posts, None, None, None, 0, days)
    over = account.rate_resets_at is not None and account.rate_resets_at <= now
    remaining = account.rate_limit if over else account.rate_remaining
    if returns_at(account) is not None:
        remaining = 0
    hours = -(-max(0, _at_once(rows) - remaining) // max(1, account.rate_limit))
    return Quota(posts, account.rate_limit, remaining, None if over else account.rate_resets_at, hours, days)


def _at_once(rows: "Sequence[Planned]") -> int:
    """The posts of the busiest hour of the plan."""
    hours = Counter(
        row.scheduled_at.replace(minute=0, second=0, microsecond=0) for row in rows if not row.integration.is_outbox
    )
    return max(hours.values(), default=0)


def _days(profile: Profile, rows: "Sequence[Planned]") -> list[DayLimit]:
    integrations = {row.integration.pk: row.integration for row in rows}
    networks = {one.identifier for one in integrations.values()}
    limits = {rule.network: rule for rule in NetworkRule.objects.filter(rule="daily_posts", network__in=networks)}
    planned: Counter[tuple[UUID, date]] = Counter(
        (row.integration.pk, row.scheduled_at.astimezone(UTC).date()) for row in rows
    )
    known = _known(profile, list(integrations), [day for _, day in planned])
    found = []
    for (integration_id, day), number in sorted(planned.items(), key=lambda item: (item[0][1], str(item[0][0]))):
        integration = integrations[integration_id]
        rule = limits.get(integration.identifier)
        posts = number + known[integration_id, day]
        if rule is not None and posts > rule.value:
            facts: dict[str, Any] = {name: getattr(rule, name) for name in ("source", "checked_on", "certainty")}
            found.append(DayLimit(integration, day, posts, rule.value, **facts))
    return found


def _known(profile: Profile, integration_ids: list[UUID], days: list[date]) -> Counter[tuple[UUID, date]]:
    """How many posts these channels have on each of these days already."""
    start = datetime.combine(min(days), time.min, UTC)
    end = datetime.combine(max(days), time.min, UTC) + timedelta(days=1)
    rows = Publication.objects.for_profile(profile).filter(
        integration__in=integration_ids, state__in=sorted(_COUNTED), scheduled_at__gte=start, scheduled_at__lt=end
    )
    counted = rows.order_by().values_list("integration_id", TruncDate("scheduled_at", tzinfo=UTC))
    return Counter(
        {(integration_id, day): number for integration_id, day, number in counted.annotate(number=Count("pk"))}
    )
