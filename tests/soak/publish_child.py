"""A process that forks a worker for each command, to be killed: what is tested is the program, and it knows nothing of
this. One JSON object a line each way:

    in    {"do": "jobs", …, "kill_at": "intended", "now": ISO}     names and arguments of the functions below
    out   {"pid": …}, and when that worker has ended {"status": …, "result": …}   (status: exit code, or -signal)

`kill_at` is a phase after which the worker kills itself by SIGKILL; `now` is its clock. The workers work on the
database of the test, which is named in the first line, `{"database": …}`.
"""

import datetime
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial, wraps
from typing import Any
from uuid import UUID

import django

CALL_SECONDS = 1.0  # what POST /posts may take here; the stub's silence is longer
Answer = Callable[..., Any]


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dying_after(function: Answer) -> Answer:
    """`function`, whose process is killed once it has done something (a claim may be another's: None)."""

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if result is not None:
            die()
        return result

    return run


def arm(kill_at: str) -> None:
    from publishing.delivery import claims, sending

    where: dict[str, tuple[Any, str]] = {
        "claimed": (claims, "take"),
        "uploaded": (sending, "upload"),
        "intended": (sending, "intend"),
        "answered": (sending, "call"),
    }
    if kill_at:
        module, name = where[kill_at]
        setattr(module, name, dying_after(getattr(module, name)))


def shorten() -> None:
    """No waits but those that are the subject."""
    from profiles.outbound import Timeout
    from publishing.postiz import client as postiz

    postiz.POST_TIMEOUT = Timeout(connect=5, read=CALL_SECONDS, total=CALL_SECONDS + 0.2)
    postiz.Postiz.pause = lambda self, attempt: None  # type: ignore[method-assign]


def jobs(jobs: list[tuple[str, str, str]], kill_at: str = "", quick: bool = True) -> None:
    """What the task messages (kind, profile, job) do; whoever comes too late does nothing."""
    from jobs import execution, registry

    arm(kill_at)
    if quick:
        shorten()
    for kind, profile_id, job_id in jobs:
        known = registry.kind_named(kind)
        assert known is not None, kind
        execution.execute(known, profile_id, job_id)


def naive(url: str, key: str, channel: str, clip: str, kill_at: str = "") -> None:
    """A client as most are: what went wrong is sent again. For comparison."""
    import httpx

    def reached(point: str) -> None:
        if point == kill_at:
            die()

    headers = {"Authorization": key}
    with httpx.Client(base_url=url, headers=headers, timeout=CALL_SECONDS, trust_env=False, verify=False) as client:
        reached("claimed")
        media = client.post("/upload", files={"file": ("clip.mp4", clip.encode("latin-1"))}).json()
        reached("uploaded")
        value = {"content": "Look at this", "image": [{"id": media["id"], "path": media["path"]}]}
        date = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=100)
        post = {"integration": {"id": channel}, "value": [value], "settings": {"post_type": "post"}}
        body = {"type": "schedule", "date": date.isoformat(), "shortLink": False, "tags": [], "posts": [post]}
        reached("intended")
        for _ in range(3):
            try:
                reply = client.post("/posts", json=body)
                reached("answered")
                if reply.raise_for_status().json()[0]["postId"]:
                    return
            except (httpx.HTTPError, ValueError, LookupError):
                reached("answered")
    raise RuntimeError("it never went out")


def refresh(profile: str) -> bool:
    """Lists a profile's channels."""
    from profiles import scope
    from profiles.models import Profile
    from publishing.channels import integrations

    with scope.activate(UUID(profile)):
        return integrations.refresh(Profile.objects.get(pk=profile), force=True)


def sync() -> None:
    """What beat has done every now and then."""
    from publishing.tasks import sync_due

    sync_due()


DO: dict[str, Answer] = {function.__name__: function for function in (jobs, naive, refresh, sync)}


def measured(function: Answer) -> dict[str, Any]:
    """What it returned, its seconds, and by how many bytes the process's memory peaked above where it began."""
    idle, began = resident("VmRSS"), time.monotonic()
    value = function()
    return {
        "value": value,
        "seconds": time.monotonic() - began,
        "idle": idle,
        "grown": max(0, resident("VmHWM") - idle),
        "cpu": resource.getrusage(resource.RUSAGE_SELF).ru_utime,
    }


def resident(what: str) -> int:
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith(f"{what}:"))
    return int(line.split()[1]) * 1024


def work(command: dict[str, Any], result: int) -> None:
    """The worker's life; never returns."""
    code = 1
    try:
        import time_machine

        now = command.pop("now", "")
        clock = time_machine.travel(datetime.datetime.fromisoformat(now), tick=True) if now else nullcontext()
        with clock:
            done = measured(partial(DO[command.pop("do")], **command))
        os.write(result, json.dumps(done).encode())
        code = 0
    except Exception:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def fork(command: dict[str, Any]) -> None:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        work(command, writing)
    os.close(writing)
    say({"pid": pid})
    _, status = os.waitpid(pid, 0)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    say({"status": os.waitstatus_to_exitcode(status), "result": json.loads(told) if told else None})


def say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


def main() -> None:
    django.setup()
    from django.db import connections

    from publishing import tasks  # noqa: F401 - and with it everything that a worker needs

    for line in sys.stdin:
        command = json.loads(line)
        if "database" in command:
            connections["default"].settings_dict["NAME"] = command["database"]
        else:
            fork(command)


if __name__ == "__main__":
    main()
