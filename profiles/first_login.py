"""What the first start of the embedded default leaves for the person who started it."""

import json
import secrets
from typing import TextIO

from django.conf import settings
from django.db import transaction

from profiles.credentials import ensure_encryption_key
from profiles.models import User
from profiles.private_files import write_private
from profiles.services import user_create
from profiles.tokens import token_create

FILE_NAME = "first-login.json"


def ensure_first_login(out: TextIO) -> None:
    """On an empty embedded installation makes user `admin`, a default profile and a token; says so on `out` once.

    Writes `<data>/first-login.json` (0600). Does nothing in production: there a person runs `create_user`.
    """
    if not settings.EMBEDDED:
        return
    ensure_encryption_key()
    if User.objects.exists():
        return
    path = settings.DATA_DIR / FILE_NAME
    path.unlink(missing_ok=True)  # of an earlier database in this folder
    with transaction.atomic():  # no user without the file that says how to get in
        login = new_login("admin", is_superuser=True)
        write_private(path, json.dumps({"url": settings.PUBLIC_URL, **login}, indent=2) + "\n")
    out.write(
        "\nFirst start: these were made for you, and are kept in "
        f"{FILE_NAME} in the data folder.\n"
        f"  address   {settings.PUBLIC_URL}\n"
        f"  username  {login['username']}\n"
        f"  password  {login['password']}\n"
        f"  token     {login['token']}\n\n"
    )


def new_login(username: str, *, is_superuser: bool = False) -> dict[str, str]:
    """A user with a made-up password, a default profile and an unbound token: `{username, password, …}`."""
    password = secrets.token_urlsafe(12)
    user = user_create(username=username, password=password)
    user.is_staff = True  # the admin shows each person their own profiles only
    user.is_superuser = is_superuser
    user.save(update_fields=["is_staff", "is_superuser"])
    _, token = token_create(user=user, name="made with the user")
    return {
        "username": username,
        "password": password,
        "token": token,
        "profile_id": str(user.default_profile_id),
    }
