"""What the database refuses by itself, on both engines, and after a later migration too."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, models, transaction
from django.utils import timezone

from conftest import Person
from costs.models import ExchangeRate, LedgerEntry, PriceOverride, PriceRule, UsageAttempt
from costs.services import paid_call
from costs.tests.conftest import buy, call_for, price
from profiles import erasure, scope
from profiles.models import Profile
from profiles.services import profile_create, profile_delete, profile_set_default

EMBEDDED = pytest.mark.embedded
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def charge(in_scope: Profile) -> LedgerEntry:
    price()
    with paid_call(profile=in_scope, call=call_for()) as paid:
        buy()
        return paid.settle({"credit": 5})


def refused(*deeds: Any) -> None:
    for deed in deeds:
        with pytest.raises(IntegrityError, match="costs:"), transaction.atomic():
            deed()


def raw(sql: str) -> Any:
    def run() -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql)

    return run


def check_the_ledger_is_closed(entry: LedgerEntry) -> None:
    rows = LedgerEntry.objects.filter(pk=entry.pk)
    refused(
        lambda: rows.update(amount_micros=1),
        lambda: rows.update(note="better"),
        entry.delete,
        rows.delete,
        lambda: rows._raw_delete("default"),
        raw("UPDATE costs_ledgerentry SET amount_micros = 0"),
        raw("DELETE FROM costs_ledgerentry"),
        raw("DELETE FROM costs_usageattempt"),
    )
    if connection.vendor == "sqlite":
        again = "SELECT * FROM costs_ledgerentry"
        refused(
            raw(f"INSERT OR REPLACE INTO costs_ledgerentry {again}"), raw(f"REPLACE INTO costs_ledgerentry {again}")
        )
    if connection.vendor == "postgresql":
        refused(raw("TRUNCATE costs_ledgerentry"), raw("TRUNCATE costs_usageattempt CASCADE"))
    assert rows.get().amount_micros == 50_000


@EMBEDDED
def test_the_ledger_is_closed_on_sqlite(charge: LedgerEntry) -> None:
    assert connection.vendor == "sqlite"
    check_the_ledger_is_closed(charge)


def test_the_ledger_is_closed(charge: LedgerEntry) -> None:
    check_the_ledger_is_closed(charge)


def check_a_later_migration_leaves_it_closed(entry: LedgerEntry) -> None:
    """A migration that changes a column: SQLite remakes the table, and the triggers go with the old one."""
    longer = models.CharField(max_length=400, blank=True)
    longer.set_attributes_from_name("note")
    with connection.schema_editor() as editor:
        editor.alter_field(LedgerEntry, LedgerEntry._meta.get_field("note"), longer)
    call_command("migrate", verbosity=0)
    check_the_ledger_is_closed(entry)
    with connection.schema_editor() as editor:
        editor.alter_field(LedgerEntry, longer, LedgerEntry._meta.get_field("note"))
    call_command("migrate", verbosity=0)


@EMBEDDED
def test_the_ledger_is_closed_after_a_later_migration_on_sqlite(charge: LedgerEntry) -> None:
    check_a_later_migration_leaves_it_closed(charge)


def test_the_ledger_is_closed_after_a_later_migration(charge: LedgerEntry) -> None:
    check_a_later_migration_leaves_it_closed(charge)


def check_prices_stay(own: Any) -> None:
    """Of a price only the end changes, and not one that lies behind; of two at once the second is refused."""
    now = timezone.now()
    ended = own(valid_from=now - timedelta(days=9), valid_to=now - timedelta(days=2))
    rule = own(valid_from=now - timedelta(days=2))
    rows = type(rule).objects.filter(pk=rule.pk)
    refused(
        lambda: rows.update(unit_price=Decimal(9)),
        lambda: rows.update(valid_from=now - timedelta(days=3)),
        lambda: rows.update(valid_to=now - timedelta(days=1)),
        lambda: type(rule).objects.filter(pk=ended.pk).update(valid_to=now + timedelta(days=1)),
    )
    for span in ({"valid_from": now}, {"valid_from": now - timedelta(days=3), "valid_to": now}):
        with pytest.raises(IntegrityError), transaction.atomic():
            own(**span)
    own(valid_from=now - timedelta(days=19), valid_to=now - timedelta(days=9))
    rows.update(valid_to=now + timedelta(days=1))
    coming = own(valid_from=now + timedelta(days=1))
    type(rule).objects.filter(pk=coming.pk).update(valid_to=coming.valid_from)  # it will never hold
    own(valid_from=now + timedelta(days=1))
    with pytest.raises(IntegrityError), transaction.atomic():
        rows.update(valid_to=now + timedelta(days=2))


def check_common_prices(profile: Profile) -> None:
    check_prices_stay(price)
    refused(PriceRule.objects.order_by("id").last().delete, raw("DELETE FROM costs_pricerule"))  # type: ignore[union-attr]
    price(valid_from=timezone.now(), service_tier="batch")
    rate = ExchangeRate.objects.create(
        currency="EUR", rate=Decimal("1.1"), valid_from=datetime(2026, 1, 1, tzinfo=UTC), source="ECB"
    )
    refused(rate.delete, lambda: ExchangeRate.objects.update(rate=2))


def check_own_prices(profile: Profile) -> None:
    def own(**fields: Any) -> PriceOverride:
        values = {
            "profile": profile,
            "provider": "meter",
            "model": "",
            "match": "prefix",
            "meter": "credit",
            "unit_price": Decimal("0.01"),
            "source": "a test",
            "source_date": timezone.now().date(),
        }
        return PriceOverride.objects.create(**{**values, **fields})

    check_prices_stay(own)


@pytest.mark.parametrize("check", [check_common_prices, check_own_prices])
def test_prices_stay(check: Any, in_scope: Profile) -> None:
    check(in_scope)


@EMBEDDED
@pytest.mark.parametrize("check", [check_common_prices, check_own_prices])
def test_prices_stay_on_sqlite(check: Any, in_scope: Profile) -> None:
    check(in_scope)


def test_the_books_outlive_their_profile(charge: LedgerEntry, in_scope: Profile, owner: Person) -> None:
    PriceOverride.objects.create(
        profile=in_scope,
        provider="meter",
        model="x",
        meter="char",
        unit_price=1,
        valid_from=timezone.now(),
        source="a test",
        source_date=timezone.now().date(),
    )
    another = profile_create(user=owner.user, name="Another")
    profile_set_default(user=owner.user, profile=another)
    profile_delete(user=owner.user, profile=in_scope)
    in_scope.refresh_from_db()
    erasure.erase(in_scope)
    assert not Profile.objects.filter(pk=in_scope.pk).exists()
    with scope.activate(in_scope.pk):
        assert LedgerEntry.objects.get().pk == charge.pk
        assert UsageAttempt.objects.count() == 1
        assert PriceOverride.objects.count() == 0
