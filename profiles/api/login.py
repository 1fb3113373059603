"""The form behind every login page, the admin's included: throttled like the API's `auth/token/`."""

from typing import Any

from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import AbstractBaseUser

from profiles.api.throttles import LoginThrottle


class ThrottledAuthenticationForm(AuthenticationForm):
    """Raises TooMany (429) out of `is_valid` after too many wrong passwords."""

    def clean(self) -> dict[str, Any]:
        if self.request is None or not self.cleaned_data.get("username"):
            return super().clean()
        with LoginThrottle(self.request, self.cleaned_data["username"]) as attempt:
            cleaned = super().clean()
            attempt.succeeded = True
        return cleaned


class ThrottledAdminAuthenticationForm(ThrottledAuthenticationForm, AdminAuthenticationForm):
    """The same for the admin, which lets staff in only."""

    def confirm_login_allowed(self, user: AbstractBaseUser) -> None:
        AdminAuthenticationForm.confirm_login_allowed(self, user)  # type: ignore[arg-type]
