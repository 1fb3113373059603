from django.urls import path
from rest_framework.routers import SimpleRouter

from costs.storage.views import StorageViewSet
from costs.views import BudgetsViewSet, CostsViewSet, LedgerViewSet, PaidCallViewSet, PricesViewSet

router = SimpleRouter(use_regex_path=False)
router.register("costs/entries", LedgerViewSet, basename="cost-entry")
router.register("costs/calls", PaidCallViewSet, basename="paid-call")

urlpatterns = [
    path("costs/", CostsViewSet.as_view({"get": "costs"}), name="costs"),
    path("usage/", CostsViewSet.as_view({"get": "usage"}), name="usage"),
    path("costs/budget/", BudgetsViewSet.as_view({"get": "retrieve", "put": "update"}), name="cost-budget"),
    path("costs/prices/", PricesViewSet.as_view({"get": "retrieve", "post": "create"}), name="cost-prices"),
    path("costs/storage/", StorageViewSet.as_view({"get": "retrieve", "patch": "partial_update"}), name="storage"),
    path("costs/storage/free-up/", StorageViewSet.as_view({"post": "free_up"}), name="storage-free-up"),
    path("costs/prices/<uuid:pk>/", PricesViewSet.as_view({"delete": "destroy"}), name="cost-price"),
    *router.urls,
]
