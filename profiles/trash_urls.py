from django.urls import path

from profiles.trash_views import TrashViewSet

urlpatterns = [
    path("trash/", TrashViewSet.as_view({"get": "list"}), name="trash-list"),
    path("trash/<slug:kind>/<uuid:row_id>/", TrashViewSet.as_view({"delete": "destroy"}), name="trash-detail"),
    path("trash/<slug:kind>/<uuid:row_id>/restore/", TrashViewSet.as_view({"post": "restore"}), name="trash-restore"),
]
