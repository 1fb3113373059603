"""The bases of every tenant row: its own `profile_id`, and a manager that cannot forget to filter by it.

Net 2 is explicit (`.for_profile(profile)`), net 3 lies underneath: every query of a guarded manager carries the
condition "belongs to the active scope", which is filled in when the SQL is compiled. Class-level querysets are
therefore legal, and a query outside any scope raises `OutOfScope`. Writes are checked too: a row's own profile, and
the profiles of the rows that its foreign keys point at.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from django.db import models
from django.db.models.expressions import F
from django.db.models.lookups import Lookup
from uuid6 import uuid7

from profiles import scope
from profiles.scope import OutOfScope

if TYPE_CHECKING:
    from profiles.models import Profile


def new_id() -> UUID:
    """A UUIDv7: sorts by time of creation (Python has its own only from 3.14 on)."""
    return UUID(int=uuid7().int)


class InActiveScope(Lookup):
    """`profile_id = <the active profile>`, decided when the SQL is compiled."""

    lookup_name = "in_active_scope"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        active = scope.require()
        column, params = self.process_lhs(compiler, connection)
        if active.profile_id is None:
            return f"{column} IS NOT NULL", [*params]
        value = models.UUIDField().get_db_prep_value(active.profile_id, connection)
        return f"{column} = %s", [*params, value]


class GuardedQuerySet(models.QuerySet[Any]):
    """A queryset whose writes keep inside the active scope as its reads do."""

    def for_profile(self, profile: "Profile") -> Self:
        return self.filter(profile_id=profile.pk)

    def update(self, **values: Any) -> int:
        self._check_values(values)
        return super().update(**values)

    def bulk_create(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> list[Any]:
        rows = list(objs)
        check_rows(self.model, rows)
        return super().bulk_create(rows, *args, **kwargs)

    def bulk_update(self, objs: Iterable[Any], fields: Iterable[str], *args: Any, **kwargs: Any) -> int:
        rows = list(objs)
        check_rows(self.model, rows)
        return super().bulk_update(rows, fields, *args, **kwargs)

    def _check_values(self, values: dict[str, Any]) -> None:
        if "profile" in values or "profile_id" in values:
            raise OutOfScope("A row never moves to another profile.")
        for field in tenant_links(self.model):
            value = values.get(field.name, values.get(field.attname))
            if value is None or hasattr(value, "resolve_expression"):
                continue
            target = value.pk if isinstance(value, models.Model) else value
            _check_targets(field, {target: scope.require().profile_id})


class GuardedManager(models.Manager.from_queryset(GuardedQuerySet)):  # type: ignore[misc]
    """The default and base manager of tenant rows."""

    def get_queryset(self) -> GuardedQuerySet:
        queryset: GuardedQuerySet = super().get_queryset()
        return queryset.filter(InActiveScope(F("profile_id"), True))


class Guarded(models.Model):
    """What both kinds of tenant rows share. A subclass brings the column `profile_id`."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)

    objects = GuardedManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"
        default_manager_name = "objects"

    def save(self, *args: Any, **kwargs: Any) -> None:
        check_rows(type(self), [self], kwargs.get("update_fields"))
        super().save(*args, **kwargs)


class ProfileOwned(Guarded):
    """A row that belongs to exactly one profile, for ever, and goes with it."""

    profile = models.ForeignKey("profiles.Profile", on_delete=models.PROTECT, related_name="+", editable=False)

    class Meta(Guarded.Meta):
        abstract = True


class Booked(Guarded):
    """A row of the books of account: it belongs to one profile for ever, and stays, under the bare id, when that has
    been erased."""

    profile_id = models.UUIDField(editable=False)

    class Meta(Guarded.Meta):
        abstract = True


def tenant_links(model: type[models.Model]) -> list[models.ForeignKey[Any, Any]]:
    """The foreign keys of `model` that point at tenant rows."""
    return [
        field
        for field in model._meta.concrete_fields
        if isinstance(field, models.ForeignKey)
        and isinstance(field.related_model, type)
        and issubclass(field.related_model, Guarded)
    ]


def check_rows(model: type[models.Model], rows: Sequence[Any], update_fields: Collection[str] | None = None) -> None:
    """Raises OutOfScope unless every row, and every row it points at, lies in the active scope."""
    active = scope.require()
    for row in rows:
        if not active.admits(row.profile_id):
            raise OutOfScope(f"A {model._meta.verbose_name} of another profile cannot be written here.")
    for field in tenant_links(model):
        if update_fields is not None and not {field.name, field.attname} & set(update_fields):
            continue
        wanted: dict[Any, UUID | None] = {}
        for row in rows:
            target_id = getattr(row, field.attname)
            if target_id is None:
                continue
            cached = row._state.fields_cache.get(field.name)
            if cached is not None and cached.pk == target_id and cached.profile_id == row.profile_id:
                continue
            wanted[target_id] = row.profile_id
        _check_targets(field, wanted)


def _check_targets(field: models.ForeignKey[Any, Any], wanted: dict[Any, UUID | None]) -> None:
    """`wanted`: target id -> the profile that the target must have (None: any that the scope admits)."""
    if not wanted:
        return
    target_model: Any = field.related_model
    found = dict(target_model.objects.filter(pk__in=list(wanted)).values_list("pk", "profile_id"))
    for target_id, profile_id in wanted.items():
        actual = found.get(_as_uuid(target_id))
        if actual is None or (profile_id is not None and actual != profile_id):
            raise OutOfScope(f"{field.name} points at no row of this profile.")


def _as_uuid(value: Any) -> UUID:
    return value if isinstance(value, UUID) else UUID(str(value))
