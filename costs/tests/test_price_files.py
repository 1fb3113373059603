"""Price books as files: reading, saying what would change, changing; and the one that EditAI comes with."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from costs.models import ExchangeRate, PriceRule
from costs.prices import seeding, tables
from costs.prices.tables import SEED, apply, plan, read, write
from costs.tests.conftest import LONG_AGO, price
from profiles.errors import Invalid

pytestmark = pytest.mark.django_db
HEAD = "provider,model,meter,unit_price,source,source_date"


def table(*lines: str, head: str = HEAD) -> str:
    return "\n".join([head, *lines]) + "\n"


def row(unit_price: str = "0.02", model: str = "m1", **more: str) -> str:
    head = ",".join([HEAD, *more])
    return table(
        ",".join(["meter", model, "credit", unit_price, "their page", "2026-11-28", *more.values()]), head=head
    )


def whats(text: str) -> list[str]:
    return [change.what for change in plan(read(text))]


def test_the_book_that_comes_along_is_read_without_a_contradiction() -> None:
    prices = read(SEED.read_text())
    assert len(prices) > 100
    changes = tables.plan_against([], prices, timezone.now())
    assert {change.what for change in changes} == {"new"}
    assert all(rule.source and rule.source_date for rule in prices)


def test_it_is_in_the_book_after_a_migration_and_a_second_one_changes_nothing() -> None:
    before = list(PriceRule.objects.order_by("id").values_list("id", "valid_to"))
    assert len(before) == len(read(SEED.read_text()))
    seeding.seed(using="default")
    assert list(PriceRule.objects.order_by("id").values_list("id", "valid_to")) == before


def seed_with(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class File:
        def read_text(self) -> str:
            return text

    monkeypatch.setattr(seeding, "SEED", File())
    seeding.seed(using="default")


def test_a_newer_price_of_the_program_ends_its_older_one(monkeypatch: pytest.MonkeyPatch) -> None:
    old = price(model="m1", match="exact", origin="seeded")
    seed_with(row(valid_from="2026-06-01"), monkeypatch)
    old.refresh_from_db()
    new = PriceRule.objects.get(model="m1", valid_to=None)
    assert new.unit_price == Decimal("0.02")
    assert old.valid_to == new.valid_from
    assert new.valid_from > timezone.now() - timedelta(minutes=1)  # what was in force until now stays


def test_what_an_operator_entered_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    price(model="m1", match="exact")
    seed_with(row(valid_from="2026-06-01"), monkeypatch)
    assert PriceRule.objects.get(model="m1").unit_price == Decimal("0.01")


def test_a_new_price_a_change_and_nothing_new() -> None:
    soon = (timezone.now() + timedelta(days=3)).isoformat()
    assert whats(row()) == ["new"]
    old = price(model="m1", match="exact")
    assert whats(row("0.010", valid_from="2026-01-01")) == ["unchanged"]
    assert whats(row(valid_from=soon)) == ["replaces"]
    assert whats(row()) == ["replaces"]
    assert whats(row(valid_from="2026-03-01")) == ["refused"]
    assert apply(plan(read(row(valid_from=soon)))) == 1
    old.refresh_from_db()
    assert old.valid_to == datetime.fromisoformat(soon)


def test_a_price_until_further_notice_leaves_alone_what_is_planned() -> None:
    soon = timezone.now() + timedelta(days=3)
    now = price(model="m1", match="exact", valid_to=soon)
    coming = price(model="m1", match="exact", valid_from=soon, unit_price=Decimal(3))
    apply(plan(read(row("4", valid_from=(soon - timedelta(days=1)).isoformat()))))
    for rule in (now, coming):
        rule.refresh_from_db()
    new = PriceRule.objects.get(model="m1", unit_price=4)
    assert (now.valid_to, new.valid_to, coming.valid_to) == (new.valid_from, soon, None)


def test_what_is_planned_is_replaced_by_a_price_for_the_same_time() -> None:
    soon = timezone.now() + timedelta(days=3)
    coming = price(model="m1", match="exact", valid_from=soon, unit_price=Decimal(3))
    apply(plan(read(row("4", valid_from=soon.isoformat()))))
    coming.refresh_from_db()
    assert coming.valid_to == coming.valid_from
    assert PriceRule.objects.get(model="m1", valid_to=None).unit_price == 4


def test_a_currency_needs_a_rate() -> None:
    text = row(currency="EUR")
    with pytest.raises(Invalid, match="Line 2: there is no exchange rate for EUR"):
        read(text)
    ExchangeRate.objects.create(currency="EUR", rate=Decimal("1.1"), valid_from=LONG_AGO, source="ECB")
    assert read(text)[0].currency == "EUR"
    with pytest.raises(Invalid, match="three capital letters"):
        read(row(currency="eur"))


def test_a_seed_that_was_interrupted_is_finished_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    old = price(model="m1", match="exact", origin="seeded")

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("django.db.models.query.QuerySet.bulk_create", dies)
        with pytest.raises(KeyboardInterrupt):
            seed_with(row(valid_from="2026-06-01"), patched)
    old.refresh_from_db()
    assert old.valid_to is None  # nothing half done
    seed_with(row(valid_from="2026-06-01"), monkeypatch)
    assert PriceRule.objects.filter(model="m1").count() == 2


def test_a_seed_that_skips_a_release(monkeypatch: pytest.MonkeyPatch) -> None:
    price(model="m1", match="exact", origin="seeded")
    head = f"{HEAD},valid_from,valid_to"
    spans = [("1", "2026-01-01", "2026-06-01"), ("2", "2026-06-01", "2026-09-01"), ("3", "2026-09-01", "")]
    lines = [f"meter,m1,credit,{amount},page,2026-11-28,{begin},{end}" for amount, begin, end in spans]
    for _ in range(2):
        seed_with(table(*lines, head=head), monkeypatch)
        rules = PriceRule.objects.filter(model="m1").order_by("valid_from")
        assert [rule.unit_price for rule in rules] == [Decimal("0.01"), 3]
        assert rules[0].valid_to == rules[1].valid_from


def test_a_seed_that_begins_before_a_price_of_the_past_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = datetime(2026, 10, 1, tzinfo=UTC)
    price(model="m1", match="exact", origin="seeded", valid_to=ended)
    seed_with(row(valid_from="2026-09-15"), monkeypatch)
    assert PriceRule.objects.get(model="m1", valid_to=None).valid_from == ended


def test_an_entered_price_for_names_that_begin_so_is_not_outranked(monkeypatch: pytest.MonkeyPatch) -> None:
    price(model="m")
    seed_with(row(), monkeypatch)
    assert not PriceRule.objects.filter(model="m1").exists()


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2026-02-30"])
def test_times_beyond_the_calendar(moment: str) -> None:
    with pytest.raises(Invalid, match="Line 2: valid_from is no time"):
        read(row(valid_from=moment))


def test_a_note_that_looks_like_a_formula_comes_back_as_it_was() -> None:
    text = write(read(row(note="=1+1")))
    assert "'=1+1" in text
    assert read(text)[0].note == "=1+1"


def test_a_file_that_contradicts_itself_changes_nothing() -> None:
    line = row().splitlines()[1]
    changes = plan(read(table(line, line.replace("0.02", "0.03"))))
    assert [change.what for change in changes] == ["new", "refused"]
    with pytest.raises(Invalid, match="another price for the same time"):
        apply(changes)
    assert not PriceRule.objects.filter(model="m1").exists()


def test_what_is_written_is_read_again() -> None:
    text = write(PriceRule.objects.all())
    assert {change.what for change in plan(read(text))} == {"unchanged"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Columns are missing"),
        ("provider,model\nx,y\n", "Columns are missing: meter, unit_price"),
        (row("cheap"), "Line 2: a number is expected"),
        (row("-1"), "Line 2: a price is not negative"),
        (row("NaN"), "Line 2"),
        (row("1e99"), "Line 2: unit_price"),
        (row(model=""), "Line 2: model is empty"),
        (row(valid_from="yesterday"), "Line 2: valid_from is no time"),
        (row(valid_to="2020-01-01"), "Line 2: valid_to lies before"),
        (row(certainty="maybe"), "Line 2: certainty"),
        (row(colour="red"), "Line 2: unknown column colour"),
        (table("meter,m1,sparks,1,page,2026-11-28"), "Line 2: meter is one of tok_in_text"),
        (table("meter,m1,credit,1,page,soon"), "Line 2: source_date is no day"),
        (table("meter,m1,credit,1,page"), "Line 2: it has more or fewer cells"),
        (table('meter,"m1'), "Line 2: unexpected end"),
        (table("x" * 2**21), "too large"),
        (table(*["meter,m1,credit,1,page,2026-11-28"] * 5001), "At most 5000"),
    ],
)
def test_c22_a_broken_file_says_where(text: str, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        read(text)


def test_many_errors_are_cut_short() -> None:
    with pytest.raises(Invalid) as caught:
        read(table(*["meter,m1,credit,x,page,2026-11-28"] * 100))
    assert len(caught.value.message.splitlines()) == 20


def test_a_byte_order_mark_is_no_matter() -> None:
    read_back: Any = read("\ufeff" + row())
    assert read_back[0].provider == "meter"
