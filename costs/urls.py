from django.urls import URLPattern, path

from costs.storage.views import StorageViewSet

urlpatterns: list[URLPattern] = [
    path("costs/storage/", StorageViewSet.as_view({"get": "retrieve", "patch": "partial_update"}), name="storage"),
    path("costs/storage/free-up/", StorageViewSet.as_view({"post": "free_up"}), name="storage-free-up"),
]
