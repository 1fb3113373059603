"""All addresses. Each app owns its part; this is the only place that sees them all."""

from django.contrib import admin
from django.urls import include, path

from editai import pages

urlpatterns = [
    path("", pages.start, name="start"),
    path("p/<slug:slug>/", pages.start, name="brand"),
    path("login/", pages.login, name="login"),
    path("logout/", pages.logout, name="logout"),
    path("invitation/", pages.invitation, name="accept-invitation-page"),
    path("review/", include("publishing.review.urls")),
    path("api/v1/", include("editai.api")),
    path("api/", include("profiles.api.docs")),
    path("admin/", admin.site.urls),
]

handler400 = "profiles.api.errors.bad_request"
handler403 = "profiles.api.errors.permission_denied"
handler404 = "profiles.api.errors.not_found"
handler500 = "profiles.api.errors.server_error"
