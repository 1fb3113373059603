"""How much is stored, by kind: a few queries, however many files there are."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import BigIntegerField, Case, CharField, Count, F, Sum, Value, When
from django.db.models.functions import Coalesce

from costs.models import StorageRetention
from costs.storage.kinds import LABELS, OTHER, TRASH, MadeAgain, in_trash, storage_kinds
from costs.storage.quota import quota_of, stored_files
from profiles.models import Profile, StoredFile
from profiles.tenancy import GuardedQuerySet

_BYTES = {"output_field": BigIntegerField()}


@dataclass
class Amount:
    """So many files, and what they hold."""

    files: int = 0
    bytes: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.files + other.files, self.bytes + other.bytes)

    def __sub__(self, other: "Amount") -> "Amount":
        return Amount(max(0, self.files - other.files), max(0, self.bytes - other.bytes))


@dataclass(frozen=True)
class KindFigures:
    """One kind. `freeable`: what may go now, whatever its age; `retention_days`: after which it goes by itself."""

    name: str
    label: str
    stored: Amount
    freeable: Amount
    retention_days: int | None
    may_have_retention: bool


@dataclass(frozen=True)
class Figures:
    """All that is stored of a profile. `quota_bytes`: 0 for no limit."""

    kinds: list[KindFigures]
    quota_bytes: int
    total: Amount = field(init=False)

    def __post_init__(self) -> None:
        total = sum((kind.stored for kind in self.kinds), Amount())
        object.__setattr__(self, "total", total)


def storage_figures(profile: Profile) -> Figures:
    """Every stored file counts in exactly one kind, so the kinds add up to the total."""
    stored = amounts(profile)
    days = dict(StorageRetention.objects.for_profile(profile).values_list("kind", "days"))
    kinds = []
    for kind in storage_kinds():
        freeable = going(kind.again, profile) if kind.again else Amount()
        kinds.append(_figures(kind.name, kind.label, stored, freeable, days.get(kind.name), kind.again is not None))
    trash = stored.get(TRASH, Amount())
    kinds.append(_figures(TRASH, LABELS[TRASH], stored, trash, settings.TRASH_DAYS, False))
    kinds.append(_figures(OTHER, LABELS[OTHER], stored, Amount(), None, False))
    return Figures(kinds, quota_of(profile))


def _figures(
    name: str, label: str, stored: dict[str, Amount], freeable: Amount, days: int | None, may: bool
) -> KindFigures:
    return KindFigures(name, label, stored.get(name, Amount()), freeable, days, may)


def amounts(profile: Profile) -> dict[str, Amount]:
    """What is stored, by the name of its kind: one query."""
    held = [When(kind.holds(profile), then=Value(kind.name)) for kind in storage_kinds()]
    name = Case(When(in_trash(profile), then=Value(TRASH)), *held, default=Value(OTHER), output_field=CharField())
    rows = stored_files(profile).annotate(kind_name=name).values_list("kind_name")
    return {kind: Amount(*found) for kind, *found in rows.annotate(files=Count("pk"), bytes=_sum("size"))}


def going(again: MadeAgain, profile: Profile, before: datetime | None = None) -> Amount:
    """What may go of a kind: files made before `before`, or of any age."""
    return amount(may_go(again, profile, before), f"{again.link}__size")


def may_go(again: MadeAgain, profile: Profile, before: datetime | None = None) -> GuardedQuerySet:
    """The rows whose file may go."""
    rows = candidates(again, profile).filter(stays="")
    return rows.filter(**{f"{again.link}__created_at__lt": before}) if before else rows


def staying(again: MadeAgain, profile: Profile) -> dict[str, Amount]:
    """What must stay, by the reason."""
    rows = candidates(again, profile).exclude(stays="").values_list("stays")
    found = rows.annotate(files=Count("pk"), bytes=_sum(f"{again.link}__size"))
    return {reason: Amount(*counted) for reason, *counted in found}


def candidates(again: MadeAgain, profile: Profile) -> GuardedQuerySet:
    """The rows that hold a stored file of this kind, annotated with `stays`."""
    return again.rows(profile).filter(**{f"{again.link}__state": StoredFile.State.STORED}).order_by()


def amount(rows: Any, size: str = "size") -> Amount:
    """How many rows, and the sum of the column `size`."""
    counted = rows.aggregate(files=Count("pk"), bytes=_sum(size))
    return Amount(counted["files"], counted["bytes"])


def _sum(size: str) -> Any:
    return Coalesce(Sum(F(size)), Value(0), **_BYTES)
