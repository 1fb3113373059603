"""One media slot, 200 jobs of one brand, then one of another: whose turn is it?"""

from itertools import combinations
from pathlib import Path

import pytest

from segments.tests import footage
from tests import stack
from tests.flow import upload

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]
CROWD = 200


def test_a_crowd_of_one_brand_delays_another_by_one_job_at_most(tmp_path: Path) -> None:
    video = tmp_path / "footage.mp4"
    footage.make_clip(video, seconds=1, size=(160, 120), fps=30, audio=False)
    with stack.embedded(tmp_path / "editai", EDITAI_USER_RATE="100000/min", EDITAI_PROFILE_RATE="100000/min") as one:
        busy, quiet = one.person("busy"), one.person("quiet")
        sources = {api: upload(api, video)["id"] for api in (busy, quiet)}

        def extract(api: stack.Api, first: int, end: int) -> str:
            span = {"start_time": first / 30, "end_time": end / 30}
            segment = api.post(f"source-videos/{sources[api]}/segments/", span)
            job: str = api.post(f"segments/{segment['id']}/extract/", expect=202)["id"]
            return job

        spans = list(combinations(range(30), 2))[:CROWD]
        crowd = [extract(busy, *span) for span in spans]
        waiting = busy.get("jobs/?status=queued&page_size=200")["results"]
        assert len(waiting) > CROWD / 2, "the crowd was worked off before the other brand came: this proves nothing"
        single = quiet.wait_for_job({"id": extract(quiet, 3, 20), "kind": "extract"}, 120)
        rows = [busy.get(f"jobs/{job}/") for job in crowd]
        overtook = [
            row
            for row in rows
            if row["started_at"] and single["created_at"] < row["started_at"] <= single["started_at"]
        ]
        print(f"{len(waiting)} of the crowd were waiting; {len(overtook)} of them began before the other brand's one")
        assert len(overtook) <= 1
