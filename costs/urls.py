from django.urls import path
from rest_framework.routers import SimpleRouter

from costs.storage.views import StorageViewSet
from costs.views import BudgetViewSet, CallViewSet, CostViewSet, EntryViewSet, PriceViewSet

router = SimpleRouter(use_regex_path=False)
router.register("costs/entries", EntryViewSet, basename="cost-entry")
router.register("costs/calls", CallViewSet, basename="paid-call")

urlpatterns = [
    path("costs/", CostViewSet.as_view({"get": "costs"}), name="costs"),
    path("usage/", CostViewSet.as_view({"get": "usage"}), name="usage"),
    path("costs/budget/", BudgetViewSet.as_view({"get": "retrieve", "put": "update"}), name="cost-budget"),
    path("costs/prices/", PriceViewSet.as_view({"get": "retrieve", "post": "create"}), name="cost-prices"),
    path("costs/storage/", StorageViewSet.as_view({"get": "retrieve", "patch": "partial_update"}), name="storage"),
    path("costs/storage/free-up/", StorageViewSet.as_view({"post": "free_up"}), name="storage-free-up"),
    *router.urls,
]
