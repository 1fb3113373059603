"""Money over HTTP: what was spent and used, the ledger, calls, budgets, prices."""

from typing import Any, TypeVar

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from costs import selectors, settings_services
from costs.books import charging
from costs.csv_export import JsonOrTable, lines, newest_first, wants_table
from costs.filters import CallFilter, EntryFilter
from costs.models import Budget, CostDaily, LedgerEntry, PriceOverride, UsageAttempt
from costs.serializers import (
    BudgetInputSerializer,
    BudgetListSerializer,
    CostsSerializer,
    LedgerEntrySerializer,
    OverviewQuerySerializer,
    OwnPriceSerializer,
    PaidCallSerializer,
    PriceListSerializer,
    PriceSerializer,
    RangeSerializer,
    ReconcileSerializer,
    UsedSerializer,
)
from profiles.api.serializers import StrictSerializer, one_page
from profiles.api.viewsets import ListMixin, ProfileViewSet, RetrieveMixin
from profiles.models import Ceiling, Role

S = TypeVar("S", bound=StrictSerializer)
_OWNERS = dict.fromkeys(("update", "create", "destroy", "reconcile"), Role.OWNER)


def _query(request: Request, serializer_class: type[S]) -> S:
    """The query string, read by a serializer: what it does not know is refused."""
    known = {name: value for name, value in request.query_params.items() if name != "format"}
    serializer = serializer_class(data=known)
    serializer.is_valid(raise_exception=True)
    return serializer


class _WholeViewSet(ProfileViewSet):
    """Answers that are no list of rows."""

    filter_backends = ()
    pagination_class = None
    roles = _OWNERS
    ceilings = dict.fromkeys(("update", "create", "destroy"), Ceiling.FULL)


class CostsViewSet(_WholeViewSet):
    """What the profile spent and used."""

    queryset = CostDaily.objects.all()
    serializer_class: Any = CostsSerializer

    @extend_schema(parameters=[OverviewQuerySerializer], responses=CostsSerializer)
    def costs(self, request: Request) -> Response:
        """What was spent: by day, provider, model, operation, project or job; the total of the range; today and the
        month so far against their budgets, and what the month will probably come to."""
        wanted, by = _query(request, OverviewQuerySerializer).wanted()
        return Response(CostsSerializer(selectors.overview(self.profile, wanted, by)).data)

    @extend_schema(parameters=[RangeSerializer], responses=UsedSerializer)
    def usage(self, request: Request) -> Response:
        """What was used: units by provider, model and meter; what our own store saved; processor time by kind of job;
        what is left at the providers."""
        wanted = selectors.Range(**_query(request, RangeSerializer).validated_data)
        return Response(UsedSerializer(selectors.usage(self.profile, wanted)).data)


class LedgerViewSet(ListMixin, ProfileViewSet):
    """The ledger, newest first: every amount, how it comes about, and which call it is for. Nothing in it is ever
    changed; corrections are entries of their own."""

    queryset = LedgerEntry.objects.all()
    serializer_class = LedgerEntrySerializer
    filterset_class = EntryFilter
    ordering = "-occurred_at"

    content_negotiation_class = JsonOrTable

    @extend_schema(
        parameters=[
            OpenApiParameter("format", str, enum=["json", "csv"], description="csv: a table for spreadsheets.")
        ],
        responses={
            (200, "application/json"): LedgerEntrySerializer(many=True),
            (200, "text/csv"): OpenApiTypes.BINARY,
        },
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        """The entries, a page at a time. With `format=csv` (or `Accept: text/csv`) all of them, at most 200,000, as a
        table: amounts in the currency; cells that a spreadsheet would take for a formula are led by an apostrophe."""
        if not wants_table(request):
            return super().list(request, *args, **kwargs)
        entries = self.filter_queryset(self.get_queryset())
        answer = StreamingHttpResponse(lines(newest_first(entries)), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = 'attachment; filename="ledger.csv"'
        return answer


class PaidCallViewSet(ListMixin, RetrieveMixin, ProfileViewSet):
    """Every physical call that costs money, newest first. Those with `needs_reconciliation` are worth a look into the
    provider's own account."""

    queryset = UsageAttempt.objects.all()
    serializer_class = PaidCallSerializer
    input_serializers = {"reconcile": ReconcileSerializer}
    filterset_class = CallFilter
    ordering = "-occurred_at"
    lookup_value_converter = "uuid"
    roles = _OWNERS
    ceilings = {"reconcile": Ceiling.FULL}

    def get_queryset(self) -> QuerySet[Any]:
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset()
        return selectors.calls_of(self.profile)

    @extend_schema(request=ReconcileSerializer, responses=PaidCallSerializer)
    @action(detail=True, methods=["post"])
    def reconcile(self, request: Request, pk: Any = None) -> Response:
        """Says what the provider really charged for a call: an unclear one ends with it, a charge is corrected by an
        adjustment or a refund. What counts for the server changes by an operator's word alone. 409 while it is under
        way."""
        values = self.read_body().validated_data
        by: Any = request.user
        charging.reconcile(
            profile=self.profile, attempt=self.get_object(), by=by.pk, is_operator=by.is_superuser, **values
        )
        return self.answer(self.get_queryset().get(pk=self.kwargs["pk"]))


class BudgetsViewSet(_WholeViewSet):
    """What the profile may spend."""

    queryset = Budget.objects.all()
    serializer_class: Any = BudgetListSerializer
    input_serializers = {"update": BudgetInputSerializer}

    @extend_schema(responses=BudgetListSerializer)
    def retrieve(self, request: Request) -> Response:
        """The profile's budgets, and how each stands now."""
        return self._all()

    @extend_schema(request=BudgetInputSerializer, responses=BudgetListSerializer)
    def update(self, request: Request) -> Response:
        """Sets one budget, or with `cap_micros` null removes it; the answer is all of them. A cap of 0 stops all paid
        calls, or those of the provider that it names."""
        values = dict(self.read_body().validated_data)
        values["provider"] = values.get("provider") or ""
        settings_services.budget_set(profile=self.profile, **values)
        return self._all()

    def _all(self) -> Response:
        return one_page(BudgetListSerializer, selectors.budgets(self.profile))


class PricesViewSet(_WholeViewSet):
    """What things cost."""

    queryset = PriceOverride.objects.all()
    serializer_class: Any = PriceListSerializer
    input_serializers = {"create": OwnPriceSerializer}

    @extend_schema(responses=PriceListSerializer)
    def retrieve(self, request: Request) -> Response:
        """The prices that hold now or are planned, the profile's own first."""
        return one_page(PriceListSerializer, selectors.prices_for(self.profile, timezone.now()))

    @extend_schema(request=OwnPriceSerializer, responses={201: PriceSerializer})
    def create(self, request: Request) -> Response:
        """Enters a price of the profile's own, from now on or later; the one before it ends then."""
        price = settings_services.own_price_set(profile=self.profile, values=self.read_body().validated_data)
        return Response(PriceSerializer(price).data, status=status.HTTP_201_CREATED)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: Any = None) -> Response:
        """Lets a price of the profile's own end now; one that is only planned will never hold."""
        settings_services.own_price_end(profile=self.profile, price=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)
