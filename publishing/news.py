"""What publishing has to tell: one notification for each occurrence, in the transaction of the change itself."""

from collections.abc import Mapping
from typing import Any

from editai.notify.events import Event, register_event
from editai.notify.services import notify
from publishing.models import Batch, PostizAccount, Publication
from publishing.rules.facts import name_of

FAILED = Event("publication_failed", "A post failed")
UNCONFIRMED = Event("publication_unconfirmed", "It is not certain whether a post went out")
MISSED = Event("publication_missed", "A post missed its time")
REMOVED = Event("publication_removed", "A post was removed in Postiz")
DISCONNECTED = Event("account_disconnected", "Postiz refuses the key")
BATCH_FINISHED = Event("batch_finished", "All posts of a batch have an outcome")


def register() -> None:
    for event in (FAILED, UNCONFIRMED, MISSED, REMOVED, DISCONNECTED, BATCH_FINISHED):
        register_event(event)


def tell(event: Event, publication: Publication, problem: Mapping[str, Any]) -> None:
    """Tells what happened to a publication. Its history, one line longer with every change, numbers the occurrence."""
    number = publication.events.count()
    channel = publication.integration
    next_step = problem.get("next_step") or ""
    notify(
        profile=publication.profile,
        event=event.name,
        once_key=f"{event.name}:{publication.pk}:{number}",
        title=f"{event.label}: {publication.clip_name}",
        text=f"{channel} ({name_of(channel.identifier)}), {publication.scheduled_at:%Y-%m-%d %H:%M} UTC\n"
        f"{problem.get('message', '')}\n{next_step}".strip(),
        link=_link(publication),
        payload={
            "publication": str(publication.pk),
            "clip": str(publication.clip_id) if publication.clip_id else None,
            "integration": channel.external_id,
            "state": str(publication.state),
            "may_be_live": publication.may_be_live,
            "problem": dict(problem),
        },
    )


def _link(publication: Publication) -> str:
    return f"/p/{publication.profile.slug}/admin/publishing/publication/{publication.pk}/change/"


def tell_disconnected(account: PostizAccount, problem: Mapping[str, Any]) -> None:
    """Tells that nothing goes out until the key is mended; call it with `paused_at` set."""
    moment = account.paused_at.isoformat() if account.paused_at else ""
    notify(
        profile=account.profile,
        event=DISCONNECTED.name,
        once_key=f"{DISCONNECTED.name}:{account.pk}:{moment}",
        title=DISCONNECTED.label,
        text=f"{problem.get('message', '')}\n{problem.get('next_step', '')}".strip(),
        payload={"problem": dict(problem)},
    )


def tell_finished(batch: Batch, states: Mapping[str, int]) -> None:
    counted = ", ".join(f"{number} {state.replace('_', ' ')}" for state, number in sorted(states.items()))
    notify(
        profile=batch.profile,
        event=BATCH_FINISHED.name,
        once_key=f"{BATCH_FINISHED.name}:{batch.pk}:1",
        title=f"{BATCH_FINISHED.label}: {counted or 'nothing left'}"[:200],
        text=f"{batch.total} posts were planned on {batch.created_at:%Y-%m-%d %H:%M} UTC: {counted or 'none is left'}.",
        payload={"batch": str(batch.pk), "states": dict(states)},
    )
