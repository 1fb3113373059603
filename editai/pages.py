"""The few pages that are neither the API, the admin nor the web frontend: start, login, logout, invitation."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth import views as auth_views
from django.contrib.auth.forms import AuthenticationForm
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from profiles.errors import TooMany
from profiles.models import Membership, Profile

View = Callable[..., HttpResponseBase]


def without_profile(view: View) -> View:
    """Marks a view that the middleware lets through without a profile (a test holds the list of them)."""
    view.profile_required = False  # type: ignore[attr-defined]
    return view


class LoginView(auth_views.LoginView):
    """Name and password. `?next=` is followed within this host only; else it leads to the default brand."""

    template_name = "login.html"
    redirect_authenticated_user = True

    def get_default_redirect_url(self) -> str:
        user: Any = self.request.user
        return f"/p/{user.default_profile.slug}/"

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().post(request, *args, **kwargs)
        except TooMany as error:
            form = AuthenticationForm(request, initial={"username": request.POST.get("username", "")[:150]})
            context = self.get_context_data(form=form, refused=error.message)
            response = render(request, self.template_name, context, status=error.status)
            response["Retry-After"] = str(error.retry_after)
            return response


login = without_profile(LoginView.as_view())
logout = without_profile(auth_views.LogoutView.as_view(next_page="/login/"))


@without_profile
@require_safe
@never_cache
def start(request: HttpRequest, slug: str | None = None) -> HttpResponse:
    """What is here, and the caller's brands. `/` leads a signed-in caller to the default one."""
    user: Any = request.user
    if not user.is_authenticated:
        return redirect(f"/login/?next={request.path}") if slug else render(request, "start.html")
    own = Profile.objects.filter(memberships__user=user, state=Profile.State.ACTIVE).order_by("name", "id")
    if slug is None:
        return redirect(f"/p/{user.default_profile.slug}/")
    membership = (
        Membership.objects.select_related("profile")
        .filter(user=user, profile__slug=slug, profile__state=Profile.State.ACTIVE)
        .first()
    )
    if membership is None:
        raise Http404
    context = {"brand": membership.profile, "role": membership.role, "brands": own[:50]}
    return render(request, "start.html", context)


@without_profile
@require_safe
@never_cache
def invitation(request: HttpRequest) -> HttpResponse:
    """Takes up an invitation. Its secret stands behind the # of the link, which browsers send to nobody."""
    return render(request, "invitation.html")
