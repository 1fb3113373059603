"""The operator's view over all profiles: the only place that shows the money of more than one. Who looks is logged."""

import logging
from dataclasses import dataclass
from typing import Any

from costs.models import ALL_PROVIDERS, Length, ProfilePeriod
from costs.money import shown
from profiles import scope
from profiles.models import Profile

log = logging.getLogger(__name__)

_MONTHS = 12
_MOST_BRANDS = 1_000


@dataclass(frozen=True)
class Month:
    """What brands spent in a month, most first; of a brand that was erased only the id is left."""

    of: str
    total: str
    brands: list[dict[str, Any]]


def by_month(user: Any) -> list[Month]:
    """The last twelve months in which something was booked."""
    log.warning("%s (%s) looked at the costs of all profiles.", user.get_username(), user.pk)
    with scope.all_profiles("show all costs to the operator"):
        rows = ProfilePeriod.objects.filter(period=Length.MONTH, provider=ALL_PROVIDERS)
        months = list(rows.order_by("-of").values_list("of", flat=True).distinct()[:_MONTHS])
        found = list(rows.filter(of__in=months).order_by("-of", "-spent_micros")[: _MOST_BRANDS * _MONTHS])
    names = dict(Profile.objects.filter(pk__in={row.profile_id for row in found}).values_list("pk", "name"))
    return [_month(of, [row for row in found if row.of == of], names) for of in months]


def _month(of: str, rows: list[ProfilePeriod], names: dict[Any, str]) -> Month:
    brands = [
        {
            "id": row.profile_id,
            "name": names.get(row.profile_id),
            "spent": shown(row.spent_micros),
            "reserved": shown(row.reserved_micros),
            "calls": row.calls,
        }
        for row in rows
    ]
    return Month(of, shown(sum(row.spent_micros for row in rows)), brands)
