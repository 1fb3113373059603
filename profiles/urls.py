from django.urls import path
from rest_framework.routers import SimpleRouter

from profiles import auth_views, trash_urls, views

router = SimpleRouter(use_regex_path=False)
router.register("auth/tokens", auth_views.ApiTokenViewSet, basename="api-token")
router.register("profiles", views.ProfileBrandViewSet, basename="profile")
router.register("profiles/<uuid:profile_id>/members", views.MemberViewSet, basename="member")
router.register("profiles/<uuid:profile_id>/invitations", views.InvitationViewSet, basename="invitation")

urlpatterns = [
    path("auth/token/", auth_views.TokenView.as_view(), name="auth-token"),
    path("auth/me/", auth_views.MeView.as_view(), name="auth-me"),
    path("auth/password/", auth_views.PasswordView.as_view(), name="auth-password"),
    path("auth/accept-invitation/", auth_views.AcceptInvitationView.as_view(), name="accept-invitation"),
    path(
        "profiles/<uuid:profile_id>/credentials/<slug:kind>/",
        views.CredentialViewSet.as_view({"get": "retrieve", "put": "update", "delete": "destroy"}),
        name="credential",
    ),
    *router.urls,
    *trash_urls.urlpatterns,
]
