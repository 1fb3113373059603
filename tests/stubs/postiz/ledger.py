"""What really stands on the networks: the record that every fault test is judged by."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from .models import Organisation

By = Literal["content", "path", "ref"]


@dataclass(frozen=True)
class Publication:
    """One thing that went live on one channel.

    `media_key` is the SHA-256 of the uploaded file (the same file sent twice is the same medium), or the path when it
    was not uploaded here, or the text of a post without media. `cancelled`: its post was deleted while it was in
    flight, and it went live all the same.
    """

    organisation: Organisation
    integration_id: str
    media_path: str
    media_key: str
    content: str
    settings: dict[str, Any]
    post_id: str
    at: datetime
    cancelled: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "organisation": self.organisation.name,
            "integration_id": self.integration_id,
            "media_path": self.media_path,
            "media_key": self.media_key,
            "content": self.content,
            "settings": self.settings,
            "post_id": self.post_id,
            "at": self.at.isoformat(),
            "cancelled": self.cancelled,
        }


KEYS: dict[str, Callable[[Publication], object]] = {
    "content": lambda one: (one.integration_id, one.media_key),
    "path": lambda one: (one.integration_id, one.media_path or one.content),
    "ref": lambda one: (one.integration_id, one.settings.get("client_ref") or one.post_id),
}


class Ledger(list[Publication]):
    """All publications, in the order in which they went live."""

    def most(self, by: By = "content") -> int:
        """The highest number of publications of one medium on one channel: more than 1 is a double post.

        by: "content" takes the same bytes as the same medium, however often they were uploaded; "path" only the same
        upload (for tests whose clips are all one file); "ref" the same `settings.client_ref`.
        """
        return max(Counter(map(KEYS[by], self)).values(), default=0)

    def of(self, integration_id: str) -> list[Publication]:
        return [one for one in self if one.integration_id == integration_id]

    @property
    def cancelled_in_flight(self) -> list[Publication]:
        """Publications whose post was deleted too late."""
        return [one for one in self if one.cancelled]
