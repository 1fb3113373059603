"""How the publishing of a post ends: scripted per post, the plain success by default."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from .models import Post

RECONNECT = "We couldn't post to {kind} for {name} because you need to reconnect it. Please enable it and try again."
DISABLED = "We couldn't post to {kind} for {name} because it's disabled. Please enable it and try again."
FAILED = "An error occurred while posting on {kind}: {error}"
PUBLISHED = "Your post has been published on {Kind} at {url}"
UNCONFIRMED = (
    "Your post was sent to {Kind}, but we couldn't confirm it was published. "
    "Please check your {name} account before posting again to avoid duplicates."
)
INBOX = "https://www.tiktok.com/messages?lang=en"


@dataclass(frozen=True)
class Step:
    """What becomes of a post `after` seconds past its date. `live`: from here on it stands on the network, once more.

    release_url "auto" is a link of the network's shape. `notice` is a template of the texts above, "" for none.
    """

    after: float
    state: str
    live: bool = False
    release_url: str | None = None
    release_id: str | None = None
    error: str | None = None
    notice: str = ""


Outcome = tuple[Step, ...]


def published(after: float = 5, *, url: str = "auto", release_id: str = "auto") -> Outcome:
    return (Step(after, "PUBLISHED", True, url, release_id, notice=PUBLISHED),)


def stuck() -> Outcome:
    """QUEUE for ever: the workflow was never started."""
    return ()


def swept(after: float = 3600) -> Outcome:
    """Not started in time; the hourly sweep publishes it late."""
    return published(after)


def failed(error: str = "Unknown error", after: float = 5) -> Outcome:
    """ERROR, with its notification; nothing went live."""
    return (Step(after, "ERROR", error=error, notice=FAILED),)


def failed_then_published(error: str = "Unknown error", after: float = 5, again: float = 60) -> Outcome:
    """ERROR, and the workflow's next try succeeds `again` seconds later."""
    return (*failed(error, after), *published(after + again))


def failed_but_live(after: float = 5, error: str = "Already posted") -> Outcome:
    """ERROR with a releaseURL: it is on the network, whatever the state says."""
    return (Step(after, "ERROR", True, "auto", "auto", error, FAILED),)


def unconfirmed(after: float = 5, *, live: bool = True) -> Outcome:
    """ERROR "Could not confirm the post status", without a releaseURL; `live` says what is true."""
    return (Step(after, "ERROR", live, error="Could not confirm the post status", notice=UNCONFIRMED),)


def tiktok_inbox(after: float = 5) -> Outcome:
    """PUBLISHED with releaseId "missing": it lies in TikTok's inbox."""
    return (Step(after, "PUBLISHED", True, INBOX, "missing", notice=PUBLISHED),)


NAMED: dict[str, Callable[..., Outcome]] = {
    make.__name__: make
    for make in (
        published,
        stuck,
        swept,
        failed,
        failed_then_published,
        failed_but_live,
        unconfirmed,
        tiktok_inbox,
    )
}


class Outcomes:
    """What happens to posts as they become due: the first scripted outcome that fits, else `default`."""

    def __init__(self, default: Outcome) -> None:
        self.default = default
        self._lock = threading.Lock()
        self._queue: list[tuple[Outcome, list[int], Callable[[Post], bool] | None]] = []

    def script(self, outcome: Outcome, times: int = 1, match: Callable[[Post], bool] | None = None) -> None:
        """For the next `times` posts (-1: all) that become due and fit `match`."""
        with self._lock:
            self._queue.append((outcome, [times], match))

    def take(self, post: Post) -> Outcome:
        if post.integration.deleted:
            return (Step(0, "ERROR", error="Channel disabled"),)
        if post.integration.disabled:
            return (Step(0, "ERROR", error="Channel disabled", notice=DISABLED),)
        if post.integration.refresh_needed:
            return (Step(0, "ERROR", error="Refresh channel needed", notice=RECONNECT),)
        with self._lock:
            for entry in self._queue:
                outcome, times, match = entry
                if match is None or match(post):
                    times[0] -= times[0] > 0
                    if times[0] == 0:
                        self._queue.remove(entry)
                    return outcome
        return self.default
