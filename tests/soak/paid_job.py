"""A kind of job that buys speech from the metered stub, as the product's kinds buy: look for what was bought before,
go through the door, store what came, settle. The artefact is a file named after what was paid for."""

import hashlib
import json
from pathlib import Path
from typing import Any

from costs.books.retries import paid_with_retries
from costs.errors import AlreadyPaid
from costs.services import Call, Paid
from jobs.execution import Attempt, Outcome
from jobs.registry import job_kind
from tests.stubs import meter_client

KIND = "test_paid"
QUEUE = "test"


def begin(attempt: Attempt) -> None:
    """A step to be killed after: nothing is reserved yet."""


def call_of(attempt: Attempt) -> Call:
    text = attempt.params["text"]
    about = hashlib.sha256(text.encode()).hexdigest()
    return Call(
        "meter", "m1", "speech", about=about, estimate={"credit": attempt.params["estimate"]}, job=attempt.job,
        timeout_seconds=2,
    )  # fmt: skip


def store(folder: Path, call: Call, spoken: meter_client.Spoken) -> Path:
    path = folder / f"{call.key}.json"
    half = path.with_suffix(".half")
    half.write_text(json.dumps({"audio": spoken.audio, "request_id": spoken.request_id}))
    return half.replace(path)


@job_kind(KIND, task_name="test_paid_task", queue=QUEUE, label="Buying speech")
def run_paid(attempt: Attempt) -> Outcome:
    """`url` of the stub, `run`: the name of this run there, `text`, `estimate`, `folder` of the artefacts."""
    begin(attempt)
    call, folder = call_of(attempt), Path(attempt.params["folder"])

    def buy(paid: Paid) -> dict[str, Any]:
        params = attempt.params
        spoken = meter_client.speak(params["url"], run=params["run"], text=params["text"])
        store(folder, call, spoken)
        paid.settle(spoken.used, model=spoken.model, request_id=spoken.request_id)
        return {"audio": spoken.audio, "reused": False}

    try:
        result = paid_with_retries(buy, profile=attempt.profile, call=call, sleep=lambda seconds: None)
    except AlreadyPaid:
        kept = json.loads((folder / f"{call.key}.json").read_text())
        result = {"audio": kept["audio"], "reused": True}
    return Outcome(result)
