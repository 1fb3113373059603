"""How publishing stands: where posts go, whether Postiz answers, what waits for a person."""

from typing import Any

from profiles.api import counters
from profiles.models import Profile
from publishing import outbox
from publishing.channels import integrations
from publishing.delivery import budget
from publishing.models import PostizAccount
from publishing.selectors import attention_count, counts
from publishing.states import ON_ITS_WAY, State

ASK_SECONDS = 30


def status_of(profile: Profile) -> dict[str, Any]:
    """As `StatusSerializer` shows it; `ask_gently` first."""
    ask_gently(profile)
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


def ask_gently(profile: Profile) -> None:
    """Lists the channels unless that was done lately. While Postiz is in trouble it is asked by one request in
    ASK_SECONDS only: the others do not wait for its deadlines. Call it with no transaction open."""
    in_trouble = PostizAccount.objects.for_profile(profile).filter(problem__isnull=False).exists()
    if not in_trouble or counters.admit(f"ask-postiz:{profile.pk}", ASK_SECONDS, 1):
        integrations.refresh(profile)


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
        "needs_attention": attention_count(profile),
    }
