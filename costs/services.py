"""The one door to everything that costs money. Every call to a provider runs inside it:

    call = Call("gemini", model, "analysis", about=digest, estimate={...}, job=job)
    with paid_call(profile=profile, call=call) as paid:
        answer = gemini.generate(...)              # decorated with @paid_function("gemini")
        paid.settle(answer.used, model=answer.model, request_id=answer.request_id)

Entering reserves in every budget; the decorated function marks the call as sent right before it leaves, and refuses to
run anywhere else; `settle` charges by the provider's own figures. What raises NotCharged gives the reservation back;
whatever else comes between sending and settling leaves the call `unknown`, and its reservation stays.
"""

import functools
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from django.utils import timezone

from costs.books import attempts, charging
from costs.books.attempts import Call as Call
from costs.books.ledger import add_to_day
from costs.errors import NotCharged, OutsideTheDoor, PaidCallUnknown
from costs.models import NOBODY, LedgerEntry, UsageAttempt
from costs.money import day_of, quantities
from costs.prices.pricebook import priced
from jobs.execution import Cancelled, JobError
from jobs.transitions import LeaseLost
from profiles.models import Profile

log = logging.getLogger(__name__)

_AS_IT_IS = (NotCharged, OutsideTheDoor, JobError, Cancelled, LeaseLost)

P = ParamSpec("P")
R = TypeVar("R")

_open: ContextVar["Paid | None"] = ContextVar("editai_paid_call", default=None)
# every function that makes a call that costs money; tests prove that none of them works outside the door
PAID_FUNCTIONS: dict[str, Callable[..., Any]] = {}


class Paid:
    """The open door: one reservation, for one physical call."""

    def __init__(self, attempt: UsageAttempt) -> None:
        self.attempt = attempt
        self.is_sent = False
        self.entry: LedgerEntry | None = None

    @property
    def is_unclear(self) -> bool:
        """Whether it was sent, and what became of it was not booked."""
        return self.is_sent and self.attempt.state in {attempts.State.SENT, attempts.State.UNKNOWN}

    def settle(self, used: Mapping[Any, Any], *, model: str = "", request_id: str = "") -> LedgerEntry:
        """Charges the call by what the provider says it used, and which model it says it was. ValueError for figures
        that are none, or not there: then the call ends as unknown. Nothing used is said by a zero."""
        if not self.is_sent:
            raise OutsideTheDoor("Nothing was sent that could be settled.")
        if not used:
            raise ValueError("An answer without figures does not say what it cost.")
        self.entry = charging.settle(self.attempt, quantities(used), model=model, request_id=request_id)
        return self.entry


@contextmanager
def paid_call(*, profile: Profile, call: Call) -> Iterator[Paid]:
    """The context of one physical call; see above. Call it outside any transaction, in the profile's scope.

    Raises what `attempts.reserve` raises before the block runs: BudgetExceeded, NoPrice, ProviderStopped, AlreadyPaid,
    PaidCallUnknown. An error between sending and settling becomes PaidCallUnknown too, which ends a job in
    `needs_attention`; not so where the call may be sent again by itself (`may_resend`), nor what stops or ends a job by
    its own words.
    """
    paid = Paid(attempts.reserve(profile, call))
    token = _open.set(paid)
    try:
        yield paid
    except BaseException as error:
        _close_after(paid, error)
        if paid.is_unclear and not call.may_resend and _is_to_be_told(error):
            raise PaidCallUnknown(paid.attempt) from error
        raise
    else:
        if paid.entry is None:
            _give_up(paid, "The program did not settle it.")
            if paid.is_sent:
                raise OutsideTheDoor("A call was sent and not settled.")
    finally:
        _open.reset(token)


def _is_to_be_told(error: BaseException) -> bool:
    """Whether a person has to hear that the call is unclear, rather than the error itself."""
    return isinstance(error, Exception) and not isinstance(error, _AS_IT_IS)


def _close_after(paid: Paid, error: BaseException) -> None:
    if paid.entry is not None:
        return  # charged; what went wrong afterwards is another matter
    try:
        if isinstance(error, NotCharged):
            attempts.release(paid.attempt, f"Not charged: {error}")
        else:
            _give_up(paid, _words_for(error))
    except Exception:  # the error that ended the block is the one to be told; the sweeper ends the call in its time
        log.exception("The call %s could not be ended.", paid.attempt.pk)


def _words_for(error: BaseException) -> str:
    """Why an answer was not booked, for people; what it was exactly is in the log and in the job's traceback."""
    name = type(error).__name__.lower()
    if "timeout" in name:
        return "No answer came in time."
    if isinstance(error, ConnectionError) or any(word in name for word in ("connect", "protocol", "read", "network")):
        return "The connection broke before the answer was there."
    if isinstance(error, ValueError | LookupError | TypeError):
        return "The answer could not be made sense of."
    return "It ended before its answer was booked."


def _give_up(paid: Paid, why: str) -> None:
    if paid.is_sent:
        attempts.lose(paid.attempt, why)
    else:
        attempts.release_unsent(paid.attempt)


def paid_function(provider: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Marks a function that makes exactly one call to `provider` that costs money: it runs inside `paid_call` only,
    once."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            paid = _open.get()
            if paid is None or paid.attempt.provider != provider:
                raise OutsideTheDoor(f"{function.__qualname__} costs money: call it inside paid_call.")
            attempts.mark_sent(paid.attempt)
            paid.is_sent = True
            return function(*args, **kwargs)

        PAID_FUNCTIONS[f"{function.__module__}.{function.__qualname__}"] = guarded
        return guarded

    return decorate


def cache_hit(*, profile: Profile, call: Call) -> None:
    """Counts that what `call` would have bought was there already, in the caller's transaction: nothing is charged."""
    at = timezone.now()
    bill = priced(
        profile_id=profile.pk,
        provider=call.provider,
        model=call.model,
        used=quantities(call.estimate),
        at=at,
        service_tier=call.service_tier,
    )
    add_to_day(
        profile.pk,
        {
            "day": day_of(at),
            "provider": call.provider,
            "model": call.model,
            "operation": call.operation,
            "project_id": call.project_id or NOBODY,
        },
        cache_hits=1,
        saved_micros=bill.amount_micros,
    )
