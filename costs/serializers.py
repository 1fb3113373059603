"""Money over HTTP. All amounts are whole micros (millionths) of the book currency, USD; all days are days of UTC."""

from datetime import timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from costs.models import Budget, LedgerEntry, Length, Meter, Price, PriceOverride, UsageAttempt
from costs.models.budgets import MOST
from costs.money import CURRENCY, MOST_MICROS, day_of
from costs.prices.tables import COLUMNS
from costs.providers import known_providers
from costs.selectors import BY_JOB, DEFAULT_DAYS, GROUPINGS, MOST_DAYS, Range
from profiles.api.filters import did_you_mean
from profiles.api.serializers import OnePageSerializer, StrictModelSerializer, StrictSerializer

MAX_QUANTITY = 10**9
_MICROS = "Millionths of the book currency."


class RangeSerializer(StrictSerializer):
    """Which days, both ends included; the last 30 when nothing is said."""

    start = serializers.DateField(required=False, help_text="A day of UTC.")
    end = serializers.DateField(required=False, help_text="A day of UTC; left out: today.")
    provider = serializers.CharField(required=False, max_length=40)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        today = day_of(timezone.now())
        end = attrs.setdefault("end", max(today, attrs.get("start", today)))
        start = attrs.setdefault("start", end - timedelta(days=min(DEFAULT_DAYS - 1, (end - end.min).days)))
        if not 0 <= (end - start).days < MOST_DAYS:
            raise serializers.ValidationError({"end": [f"Not before start, and at most {MOST_DAYS} days in all."]})
        return attrs


class OverviewQuerySerializer(RangeSerializer):
    by = serializers.ChoiceField(choices=GROUPINGS, default="day", help_text="What the rows are about.")
    project = serializers.UUIDField(required=False, help_text="Only what was spent for this project.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        narrowed = [name for name in ("provider", "project") if name in attrs]
        if attrs["by"] == BY_JOB and narrowed:
            raise serializers.ValidationError({name: ["Not together with by=job."] for name in narrowed})
        return super().validate(attrs)

    def wanted(self) -> tuple[Range, str]:
        values = dict(self.validated_data)
        by = values.pop("by")
        return Range(**values), by


class SumsSerializer(serializers.Serializer[Any]):
    amount_micros = serializers.IntegerField(help_text=_MICROS)
    calls = serializers.IntegerField()
    unpriced_calls = serializers.IntegerField(
        required=False,
        help_text="Calls that had no price, or not for all that they used: they cost more than is said.",
    )
    estimated_calls = serializers.IntegerField(
        required=False, help_text="Calls that are charged as they were reserved, because no figures came."
    )
    cache_hits = serializers.IntegerField(required=False, help_text="Answers out of our own store: nothing was paid.")
    saved_micros = serializers.IntegerField(required=False, help_text="What those would have cost.")


class _LocalMoment(serializers.DateTimeField):
    """A moment on the clock that it comes with."""

    def to_representation(self, value: Any) -> str:
        return str(value.isoformat())


class _KeySerializer(serializers.Serializer[Any]):
    key = serializers.CharField(allow_null=True)
    label = serializers.CharField(allow_null=True, required=False)  # type: ignore[assignment]
    begins_at = _LocalMoment(allow_null=True)


class CostRowSerializer(_KeySerializer, SumsSerializer):
    """`key`: the day, the provider, the id of the project …; null: of no project. `begins_at`: when the UTC day begins
    on the clock of the profile's time zone."""


class StandingSerializer(serializers.Serializer[Any]):
    """A period against its budget. `reserved_micros`: what calls under way, or without an answer, may still cost."""

    of = serializers.CharField(help_text="As in 2026-11-28 or 2026-11.")
    amount_micros = serializers.IntegerField(help_text=_MICROS)
    reserved_micros = serializers.IntegerField()
    calls = serializers.IntegerField()
    cap_micros = serializers.IntegerField(allow_null=True, help_text="Null: no budget.")
    is_hard = serializers.BooleanField(allow_null=True)
    remaining_micros = serializers.IntegerField(allow_null=True)


class MonthSerializer(StandingSerializer):
    forecast_micros = serializers.IntegerField(
        help_text="The whole month, if each day that is left costs what one of the last seven whole days did."
    )


class CostsSerializer(serializers.Serializer[Any]):
    """What a profile spent. Each charge is rounded half up to a micro, line by line; days and months are those of UTC,
    and `shown_in` names the profile's own zone, in which `begins_at` is told."""

    currency = serializers.SerializerMethodField()
    start = serializers.DateField()
    end = serializers.DateField()
    by = serializers.ChoiceField(choices=GROUPINGS)
    shown_in = serializers.CharField()
    results = CostRowSerializer(many=True)
    is_cut = serializers.BooleanField(help_text="There are more rows; these are the 100 that cost most.")
    total = SumsSerializer()
    today = StandingSerializer()
    month = MonthSerializer()

    def get_currency(self, _: Any) -> str:
        return CURRENCY


class _KnownAmount(serializers.IntegerField):
    """Null where nothing of it had a price: an unknown amount is not zero."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_only=True, allow_null=True, source="*", help_text=f"{_MICROS} Null: unpriced.", **kwargs)

    def to_representation(self, entry: Any) -> Any:
        return None if entry.is_unpriced and not entry.amount_micros else entry.amount_micros


class LedgerEntrySerializer(StrictModelSerializer):
    """One amount of the ledger. `lines` say how a charge comes about: meter, quantity, price, rate of exchange."""

    amount_micros = _KnownAmount()
    lines = serializers.ListField(child=serializers.DictField(), read_only=True)
    usage = serializers.DictField(read_only=True, help_text="Quantities by meter, as decimal text.")
    call = serializers.UUIDField(source="attempt_id", read_only=True)

    class Meta:
        model = LedgerEntry
        fields = (
            *("id", "kind", "amount_micros", "currency", "provider", "model", "operation", "job_id", "project_id"),
            *("call", "usage", "lines", "is_unpriced", "is_estimated", "occurred_at", "day", "created_at", "note"),
        )
        read_only_fields = fields


class PaidCallSerializer(StrictModelSerializer):
    """One physical call to a provider. `unknown`: it was sent and no answer was booked; what it may cost stays reserved
    until it is charged as reserved, or somebody says what it cost."""

    booked_micros = serializers.IntegerField(read_only=True, allow_null=True, help_text="What is booked for it so far.")
    estimate = serializers.DictField(read_only=True)
    usage = serializers.DictField(read_only=True, allow_null=True)

    class Meta:
        model = UsageAttempt
        fields = (
            *("id", "state", "provider", "model_requested", "model_billed", "service_tier", "operation", "job_id"),
            *("job_kind", "project_id", "attempt_no", "estimate", "usage", "reserved_micros", "booked_micros"),
            *("is_unpriced", "needs_reconciliation", "request_id", "occurred_at", "sent_at", "ended_at"),
            *("expires_at", "reconciled_at", "note"),
        )
        read_only_fields = fields


class ReconcileSerializer(StrictSerializer):
    """What the provider's own account says that the call cost; 0: it was not charged."""

    amount_micros = serializers.IntegerField(min_value=0, max_value=MOST_MICROS, help_text=_MICROS)
    note = serializers.CharField(max_length=300, required=False, default="", allow_blank=True)


def provider_name(value: str) -> str:
    """`value`, if it is a provider; ValidationError with the nearest name else."""
    known = known_providers()
    if value not in known:
        raise serializers.ValidationError(did_you_mean(value, known, prefix="Unknown provider"))
    return value


class _BudgetKeySerializer(serializers.Serializer[Any]):
    period = serializers.ChoiceField(choices=Length.choices)
    provider = serializers.CharField(allow_null=True, help_text="Null: all together.")
    of = serializers.CharField(allow_null=True, help_text="Null: each job by itself.")


class BudgetRowSerializer(_BudgetKeySerializer, StandingSerializer):
    """A budget, and how it stands now."""


class BudgetListSerializer(OnePageSerializer):
    """All budgets of a profile in one page."""

    results = BudgetRowSerializer(many=True)


class BudgetInputSerializer(StrictModelSerializer):
    """One budget: `period` day, month or job (each job by itself), for all providers together or one. `cap_micros` null
    removes it. A hard one refuses what could pass it, the default; else it only warns, at 50, 80 and 100 %."""

    period = serializers.ChoiceField(choices=Length.choices)
    cap_micros = serializers.IntegerField(min_value=0, max_value=MOST, allow_null=True, help_text=_MICROS)
    provider = serializers.CharField(max_length=40, required=False, allow_null=True, help_text="Left out: all of them.")
    is_hard = serializers.BooleanField(required=False, default=True)

    class Meta:
        model = Budget
        fields = ("period", "cap_micros", "provider", "is_hard")
        validators: list[Any] = []  # setting it again changes it

    def validate_provider(self, value: str | None) -> str:
        return provider_name(value) if value else ""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["period"] == Length.JOB and attrs.get("provider"):
            raise serializers.ValidationError({"provider": ["A job's budget is for all providers together."]})
        return attrs


class UnitsSerializer(serializers.Serializer[Any]):
    provider = serializers.CharField()
    model = serializers.CharField()
    meter = serializers.ChoiceField(choices=Meter.choices)
    unit = serializers.CharField(help_text="The meter in words.")
    quantity = serializers.DecimalField(max_digits=24, decimal_places=6, coerce_to_string=True)
    amount_micros = serializers.IntegerField(help_text=f"{_MICROS} Of what had a price.")


class SavingsSerializer(serializers.Serializer[Any]):
    provider = serializers.CharField()
    operation = serializers.CharField()
    cache_hits = serializers.IntegerField()
    saved_micros = serializers.IntegerField()


class ComputeSerializer(serializers.Serializer[Any]):
    job_kind = serializers.CharField()
    title = serializers.CharField()
    attempts = serializers.IntegerField()
    cpu_seconds = serializers.FloatField()


class BalanceSerializer(serializers.Serializer[Any]):
    left = serializers.FloatField()
    limit = serializers.FloatField(allow_null=True)
    unit = serializers.CharField()
    renews_at = serializers.DateTimeField(allow_null=True)


class ProviderBalanceSerializer(serializers.Serializer[Any]):
    """`state`: ok, none (no key is set), trouble (it did not answer)."""

    provider = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    state = serializers.ChoiceField(choices=("ok", "none", "trouble"))
    balance = BalanceSerializer(allow_null=True)
    asked_at = serializers.DateTimeField()


class UsedSerializer(serializers.Serializer[Any]):
    """What was used in these UTC days: units of the providers, savings of our own store, processor time of jobs by
    kind. `balances`: what is left at each provider that can be asked, at most five minutes old."""

    start = serializers.DateField()
    end = serializers.DateField()
    units = UnitsSerializer(many=True)
    savings = SavingsSerializer(many=True)
    compute = ComputeSerializer(many=True)
    balances = ProviderBalanceSerializer(many=True)


class PriceSerializer(serializers.ModelSerializer[Any]):
    """A price that holds now, or is planned (`valid_from`). `is_own`: the profile's own, which counts before a common
    one."""

    unit_price = serializers.DecimalField(
        max_digits=15, decimal_places=12, coerce_to_string=True, normalize_output=True
    )
    per_quantity = serializers.IntegerField(min_value=1, help_text="The price is for so many.")
    tier_min = serializers.IntegerField(min_value=0, help_text="From so many prompt tokens on.")
    is_own = serializers.SerializerMethodField()

    class Meta:
        model = PriceOverride
        fields = ("id", "is_own", *COLUMNS)
        read_only_fields = fields

    @extend_schema_field(serializers.BooleanField())
    def get_is_own(self, price: Price) -> bool:
        return isinstance(price, PriceOverride)


class PriceListSerializer(OnePageSerializer):
    """All prices that hold now or are planned, in one page."""

    results = PriceSerializer(many=True)


class OwnPriceSerializer(StrictModelSerializer):
    """A price of the profile's own, by its contract or plan, from now on or from `valid_from` on. It ends the one
    before it, and ends where one that is planned begins; a price that was in force is never changed."""

    unit_price = serializers.DecimalField(max_digits=15, decimal_places=12, coerce_to_string=True, min_value=0)
    per_quantity = serializers.IntegerField(
        min_value=1, max_value=MAX_QUANTITY, default=1, help_text="The price is for so many."
    )
    tier_min = serializers.IntegerField(
        min_value=0, max_value=MAX_QUANTITY, default=0, help_text="From so many prompt tokens on."
    )
    valid_from = serializers.DateTimeField(required=False)

    class Meta:
        model = PriceOverride
        fields = COLUMNS
        validators: list[Any] = []

    def validate_provider(self, value: str) -> str:
        return provider_name(value)
