"""The one place that looks at passwords: the API's `auth/token/`, the login page and the admin all come here."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from profiles.api.throttles import LoginAttempt
from profiles.models import User


class ThrottledBackend(ModelBackend):
    """Raises TooMany (429) out of `authenticate` after too many wrong passwords. An unknown name costs the same work
    as a wrong password (ModelBackend sees to that)."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        if request is None or username is None:
            return self._checked(request, username, password, **kwargs)
        with LoginAttempt(request, username) as attempt:
            user = self._checked(request, username, password, **kwargs)
            attempt.succeeded = user is not None
        return user

    def _checked(self, request: Any, username: str | None, password: str | None, **kwargs: Any) -> User | None:
        user = super().authenticate(request, username=username, password=password, **kwargs)
        return user if isinstance(user, User) else None
