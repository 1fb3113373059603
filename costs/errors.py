"""Why a paid call is not made, in words for people."""

from typing import Any

from costs.models import UsageAttempt
from jobs.execution import OutcomeUnknown
from profiles.errors import DomainError


class BudgetExceeded(DomainError):
    """`details` holds one entry: the budget that is in the way, in micros, and what would be enough."""

    status = 402
    code = "budget_exceeded"


class ProviderStopped(DomainError):
    status = 409
    code = "provider_stopped"


class NoPrice(DomainError):
    """Under a hard budget nothing is bought at an unknown price."""

    status = 409
    code = "price_missing"


class PaidCallUnknown(OutcomeUnknown):
    """An earlier call for the same thing was sent, and nobody knows what became of it: a person decides."""

    def __init__(self, attempt: UsageAttempt) -> None:
        super().__init__(
            "paid_call_unknown",
            f"A call to {attempt.provider} was sent at {attempt.sent_at:%Y-%m-%d %H:%M} UTC and may have been charged, "
            "but its answer did not arrive.",
            f"Look into the history at {attempt.provider} if you like. Retrying calls, and pays, again.",
        )
        self.attempt = attempt


class AlreadyPaid(Exception):
    """What is asked for was bought before: use what came of it. `attempt` is the call that did it."""

    def __init__(self, attempt: UsageAttempt) -> None:
        super().__init__(f"{attempt} was paid for already")
        self.attempt = attempt


class NotCharged(Exception):
    """Raised inside the door by the module of a provider: the call surely cost nothing (it was never connected, or
    refused before any work). `details` as the module likes. `retry_after`: seconds that the provider asked to wait;
    `may_pass`: it is worth trying again."""

    def __init__(self, message: str, *, may_pass: bool = False, retry_after: float | None = None, **details: Any):
        super().__init__(message)
        self.may_pass, self.retry_after, self.details = may_pass, retry_after, details


class OutsideTheDoor(RuntimeError):
    """A provider was to be called without a reservation, or twice on one: a mistake in the program."""
