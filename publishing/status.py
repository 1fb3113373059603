"""How publishing stands: where posts go, whether Postiz answers, what waits for a person."""

from typing import Any

from profiles.models import Profile
from publishing import budget, integrations, outbox
from publishing.models import PostizAccount
from publishing.selectors import ATTENTION, counts
from publishing.states import ON_ITS_WAY, State


def status_of(profile: Profile) -> dict[str, Any]:
    """As `StatusSerializer` shows it. Asks Postiz when it was not asked lately: that has the client's own deadlines,
    and no transaction is open meanwhile."""
    integrations.refresh(profile)
    account: PostizAccount | None = PostizAccount.objects.for_profile(profile).first()
    known = {
        "configured": account is not None,
        "connection": _connection(account),
        "label": f"Postiz at {account.base_url}" if account else outbox.LABEL,
        "address": account.base_url if account else None,
        "problem": account.problem if account else None,
        "checked_at": account.checked_at if account else None,
        "paused_at": account.paused_at if account else None,
        "rate": _rate(account),
        "counts": _counts(profile),
    }
    return known


def _connection(account: PostizAccount | None) -> str:
    if account is None:
        return "none"
    if account.paused_at is not None:
        return "paused"
    return "trouble" if account.problem else "ok"


def _rate(account: PostizAccount | None) -> dict[str, Any] | None:
    if account is None:
        return None
    return {
        "limit": account.rate_limit,
        "remaining": account.rate_remaining,
        "resets_at": account.rate_resets_at,
        "returns_at": budget.returns_at(account),
    }


def _counts(profile: Profile) -> dict[str, int]:
    found = counts(profile)
    same = (
        State.DRAFT,
        State.AWAITING_APPROVAL,
        State.SUBMITTED,
        State.FAILED,
        State.UNCONFIRMED,
        State.MISSED,
        State.REMOVED,
    )
    return {
        **{state.value: found[state] for state in same},
        "waiting": sum(found[state] for state in (State.SCHEDULED, *ON_ITS_WAY)),
        "needs_attention": sum(found[state] for state in ATTENTION),
    }
