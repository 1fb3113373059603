"""What happens to posts as the stub's time passes: QUEUE, due, in flight, PUBLISHED or ERROR."""

import json
import secrets
import threading
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from .ledger import Ledger, Publication
from .models import Integration, Notification, Post, iso
from .outcomes import Outcome, Outcomes, Step, published

LINKS = {
    "tiktok": "https://www.tiktok.com/@{profile}/video/{id}",
    "instagram": "https://www.instagram.com/reel/{id}",
    "youtube": "https://www.youtube.com/watch?v={id}",
    "facebook": "https://www.facebook.com/reel/{id}",
    "x": "https://twitter.com/{profile}/status/{id}",
    "linkedin": "https://www.linkedin.com/feed/update/{id}",
    "threads": "https://www.threads.net/@{profile}/post/{id}",
    "pinterest": "https://www.pinterest.com/pin/{id}",
    "bluesky": "https://bsky.app/profile/{profile}/post/{id}",
}
WEBHOOK_SECONDS = 5


@dataclass(eq=False)
class Run:
    """One workflow of a post. `steps` is None until it is due; from then to its last step it is in flight."""

    post: Post
    due: datetime
    steps: list[tuple[datetime, Step]] | None = None
    deleted_in_flight: bool = False

    @property
    def next_at(self) -> datetime:
        return self.due if self.steps is None else self.steps[0][0]


@dataclass(eq=False)
class Webhook:
    """A webhook as set up in the UI. payload "empty" sends `[]`, as every version up to HEAD does."""

    url: str
    payload: Literal["empty", "fixed"] = "empty"


@dataclass(eq=False)
class Life:
    """The workflows, what they published, what they told. Callers hold the world's lock."""

    media_key: Callable[[Post], str]
    outcomes: Outcomes = field(default_factory=lambda: Outcomes(published()))
    ledger: Ledger = field(default_factory=Ledger)
    notifications: list[Notification] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    webhook: Webhook | None = None
    webhook_errors: list[str] = field(default_factory=list)
    cancel_wins: bool = False  # True: deleting a post in flight still stops it

    def start(self, post: Post, due: datetime) -> None:
        """Starts the workflow of a post, in place of the one that it has."""
        self.stop(post)
        self.runs.append(Run(post, due))

    def stop(self, post: Post) -> None:
        """Ends a waiting workflow; one in flight goes on and is only marked, unless `cancel_wins`."""
        for run in [run for run in self.runs if run.post is post]:
            if run.steps is not None and not self.cancel_wins:
                run.deleted_in_flight = True
            else:
                self.runs.remove(run)

    def next_at(self) -> datetime | None:
        return min((run.next_at for run in self.runs), default=None)

    def step(self, now: datetime) -> bool:
        """Lets the earliest thing happen that is due at `now`; False when there is none."""
        run = min(self.runs, key=lambda one: one.next_at, default=None)
        if run is None or run.next_at > now:
            return False
        if run.steps is None:
            self._begin(run, self.outcomes.take(run.post))
        else:
            moment, step = run.steps.pop(0)
            if not run.steps:
                self.runs.remove(run)
            self.apply(run.post, step, moment, cancelled=run.deleted_in_flight)
        return True

    def _begin(self, run: Run, outcome: Outcome) -> None:
        run.steps = [(run.due + timedelta(seconds=step.after), step) for step in outcome]
        if not run.steps:
            self.runs.remove(run)

    def apply(self, post: Post, step: Step, moment: datetime, *, cancelled: bool = False) -> None:
        """Makes a step true: the post's state, the publication, the notification, the webhook."""
        release_id = secrets.token_hex(8) if step.release_id == "auto" else step.release_id
        url = link(post.integration, release_id or "") if step.release_url == "auto" else step.release_url
        post.state, post.error = step.state, step.error
        post.release_url, post.release_id = url or post.release_url, release_id or post.release_id
        if step.live:
            post.alive = True
            self.ledger.append(self._publication(post, moment, cancelled))
        if step.notice:
            kind = post.integration.identifier
            text = step.notice.format(
                kind=kind, Kind=kind.capitalize(), name=post.integration.name, error=step.error, url=url
            )
            self.notifications.append(Notification(post.organisation, text, moment))
        if step.state == "PUBLISHED" and self.webhook is not None:
            self._call_webhook(self.webhook, post)

    def _publication(self, post: Post, moment: datetime, cancelled: bool) -> Publication:
        return Publication(
            organisation=post.organisation,
            integration_id=post.integration.id,
            media_path=post.media[0] if post.media else "",
            media_key=self.media_key(post),
            content=post.content,
            settings=dict(post.settings),
            post_id=post.id,
            at=moment,
            cancelled=cancelled,
        )

    def _call_webhook(self, webhook: Webhook, post: Post) -> None:
        body = [] if webhook.payload == "empty" else [webhook_row(post)]
        threading.Thread(target=self._send, args=(webhook.url, json.dumps(body).encode()), daemon=True).start()

    def _send(self, url: str, body: bytes) -> None:
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method="POST")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=WEBHOOK_SECONDS):
                pass
        except OSError as error:  # Postiz ignores how it went; a test may look
            self.webhook_errors.append(str(error))


def link(channel: Integration, release_id: str) -> str:
    """A permalink of the network's shape."""
    form = LINKS.get(channel.identifier, "https://{kind}.example/{profile}/{id}")
    return form.format(kind=channel.identifier, profile=channel.profile, id=release_id)


def webhook_row(post: Post) -> dict[str, Any]:
    return {
        "id": post.id,
        "content": post.content,
        "publishDate": iso(post.date),
        "releaseURL": post.release_url,
        "state": post.state,
        "integration": {
            "id": post.integration.id,
            "name": post.integration.name,
            "providerIdentifier": post.integration.identifier,
            "picture": post.integration.picture,
            "type": "social",
        },
    }
