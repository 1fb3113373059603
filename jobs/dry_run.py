"""`?dry_run=1`: what a call would start, and what that would take, without starting it.

    @extend_schema(request=..., responses={200: DryRunSerializer, 202: JobSerializer}, parameters=[DRY_RUN])
    @action(detail=True, methods=["post"])
    @offers_dry_run
    def render(self, request, pk=None): ...

The call is made in earnest, all its checks included; the step that queues jobs (`run_once`, or `started`) runs inside a
transaction that is rolled back, and ends the call. The jobs that it would have queued are noted on the way.
"""

import functools
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import timedelta
from statistics import median
from typing import Any

from django.db import transaction
from django.db.models import F
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import registry
from jobs.models import ACTIVE, Job, Status
from profiles.api.errors import CHECK_FIELDS
from profiles.api.viewsets import DRY_RUN_PARAMETER
from profiles.errors import Invalid
from profiles.models import Profile

DRY_RUN = OpenApiParameter(
    DRY_RUN_PARAMETER,
    OpenApiTypes.BOOL,
    description="1: nothing is started; 200 with what it would take, in money and time.",
)
_SAMPLE = 20  # jobs of the same kind that a guess is made from
_CHOICES = {"1": True, "true": True, "0": False, "false": False}

_noted: ContextVar[list[Job] | None] = ContextVar("editai_dry_run", default=None)


class PlannedJobSerializer(serializers.Serializer[Any]):
    """A job that would be queued. `is_under_way`: it is waiting or running already, and would be the answer."""

    kind = serializers.CharField()
    title = serializers.CharField()
    cost_micros = serializers.IntegerField(help_text="Millionths of the book currency, USD; 0: it calls nobody paid.")
    wall_seconds = serializers.FloatField(allow_null=True, help_text="Null: nobody can tell yet.")
    cpu_seconds = serializers.FloatField(allow_null=True)
    is_under_way = serializers.BooleanField()


class WouldBlockSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField()
    next_step = serializers.CharField()
    details = serializers.ListField(child=serializers.DictField(), allow_null=True)


class DryRunSerializer(serializers.Serializer[Any]):
    """What a call would start. Times are those of the profile's last jobs of the kind, unless the kind knows better.
    `blocked_by`: the budget, or else, that would stop the jobs as things stand now."""

    dry_run = serializers.BooleanField()
    jobs = PlannedJobSerializer(many=True)
    cost_micros = serializers.IntegerField()
    blocked_by = WouldBlockSerializer(allow_null=True)


def is_on() -> bool:
    """Whether the running code only tries what it does."""
    return _noted.get() is not None


def noted(job: Job) -> Job:
    """The job, noted when this is a dry run."""
    planned = _noted.get()
    if planned is not None:
        planned.append(job)
    return job


class _Tried(Exception):
    """The trial has ended: there is nothing more to do."""


def started(start: Callable[[], Job]) -> Job:
    """`start()`; in a dry run nothing of it stays, and the call ends here."""
    if not is_on():
        return start()
    with transaction.atomic():
        start()
        transaction.set_rollback(True)
    raise _Tried


def offers_dry_run(action: Callable[..., Response]) -> Callable[..., Response]:
    """Makes an action that queues jobs answer to `?dry_run=1`. What it does before that step it does in earnest: it may
    ask others, and write nothing."""

    @functools.wraps(action)
    def run(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        if not _is_asked_for(request):
            return action(view, request, *args, **kwargs)
        active = Job.objects.for_profile(view.profile).filter(status__in=ACTIVE).order_by()
        before = set(active.values_list("pk", flat=True))
        planned: list[Job] = []
        token = _noted.set(planned)
        try:
            action(view, request, *args, **kwargs)
        except _Tried:
            return Response(DryRunSerializer(_answer(view.profile, planned, before)).data)
        finally:
            _noted.reset(token)
        raise RuntimeError(f"{action.__qualname__} offers a dry run and starts its jobs past `started`.")

    run.offers_dry_run = True  # type: ignore[attr-defined]
    return run


def _is_asked_for(request: Request) -> bool:
    values = request.query_params.getlist(DRY_RUN_PARAMETER) or ["0"]
    value = values[0].lower()
    if len(values) > 1 or value not in _CHOICES:
        raise Invalid(CHECK_FIELDS, fields={DRY_RUN_PARAMETER: ["Send 1 or 0, once."]})
    if isinstance(request.data, Mapping) and DRY_RUN_PARAMETER in request.data:
        raise Invalid(CHECK_FIELDS, fields={DRY_RUN_PARAMETER: ["Send this in the address: ?dry_run=1"]})
    return _CHOICES[value]


def _answer(profile: Profile, planned: list[Job], before: set[Any]) -> dict[str, Any]:
    jobs = [_estimate(profile, job, is_under_way=job.pk in before) for job in planned]
    costs = [job["cost_micros"] for job in jobs if job["cost_micros"] and not job["is_under_way"]]
    cost = sum(costs)
    blocked = registry.budget_check(profile, costs) if costs else None
    return {"dry_run": True, "jobs": jobs, "cost_micros": cost, "blocked_by": blocked}


def _estimate(profile: Profile, job: Job, *, is_under_way: bool) -> dict[str, Any]:
    kind = registry.kind_named(job.kind)
    known = kind.estimate(job.params) if kind else registry.Estimate()
    done = Job.objects.for_profile(profile).filter(kind=job.kind, status=Status.SUCCEEDED).exclude(started_at=None)
    times = list(
        done.annotate(took=F("finished_at") - F("started_at"))
        .order_by("-created_at", "-id")
        .values_list("took", "cpu_seconds")[:_SAMPLE]
    )
    wall = round(median(took / timedelta(seconds=1) for took, _ in times), 1) if times else None
    return {
        "kind": job.kind,
        "title": kind.label if kind else job.kind,
        "cost_micros": known.cost_micros,
        "wall_seconds": known.wall_seconds if known.wall_seconds is not None else wall,
        "cpu_seconds": round(median(cpu for _, cpu in times), 1) if times else None,
        "is_under_way": is_under_way,
    }
