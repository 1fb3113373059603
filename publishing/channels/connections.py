"""Which Postiz a profile publishes through: its own organisation, by its own key."""

from collections.abc import Mapping
from typing import Any

from profiles.credentials import CredentialKind, SettingField, credential_get, credential_secret
from profiles.errors import Conflict, Invalid
from profiles.models import Profile
from publishing.postiz import address as postiz_address
from publishing.postiz.client import Postiz
from publishing.postiz.errors import BadKey, NoSubscription, PostizError


def check_postiz(secret: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Finds the API at the address and asks it about the key: {url: its base}. Invalid names the wrong field."""
    try:
        return {"url": postiz_address.discover(settings["url"], secret)}
    except (BadKey, NoSubscription) as error:
        raise Invalid(error.message, code=error.code, fields={"api_key": [error.message]}) from error
    except (PostizError, Invalid) as error:
        raise Invalid(error.message, code=error.code, fields={"url": [error.message]}) from error


POSTIZ = CredentialKind(
    name="postiz",
    label="Postiz",
    check=check_postiz,
    settings=(SettingField("url", "Address of Postiz, as in https://postiz.example.org; read: of its public API."),),
)


def postiz_of(profile: Profile, **options: Any) -> Postiz:
    """The client for the profile's own Postiz; `options` as of `Postiz`. Conflict when none is set, or its key lost."""
    stored = credential_get(profile=profile, kind=POSTIZ)
    if stored is None:
        raise Conflict("No Postiz is connected: enter its address and API key.", code="postiz_not_connected")
    return Postiz(stored.settings["url"], credential_secret(profile=profile, kind=POSTIZ), **options)
