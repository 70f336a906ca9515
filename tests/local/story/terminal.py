"""The same from a terminal: the command line, with what `aws s3 sync` printed."""

from __future__ import annotations

import json
import shlex

from story.stage import Json, Stage, Step, expect, expect_in
from story.uploads import BUCKET, Uploads

# As the AWS CLI writes it; the objects themselves are of no matter to the command line.
SYNCED = f"""upload: public/terms of use.html to s3://{BUCKET}/terms of use.html
upload: public/news/2026.html to s3://{BUCKET}/news/2026.html
delete: s3://{BUCKET}/news/2025.html
"""
PATHS = ["/news/2025.html", "/news/2026.html", "/terms%20of%20use.html", "/terms+of+use.html"]


class Terminal:
    """Somebody without a pipeline, at the distribution that the stack names."""

    def __init__(self, stage: Stage, uploads: Uploads) -> None:
        self._stage = stage
        self._uploads = uploads

    def steps(self) -> list[Step]:
        """Gives the steps in order."""
        return [
            ("From a terminal: what a sync changed, until it is fresh", self._create),
            ("The same again is not paid for again", self._again),
            ("From a terminal: looking, and mistakes", self._look),
        ]

    def _create(self) -> None:
        answer = self._run(["create", "--from-s3-sync", "-", "--yes", "--wait=1m"], 0, SYNCED)
        self._stage.cloudfront_received((self._uploads.distribution, PATHS))
        entry = answer["distributions"][0]
        expect("its status", "Completed", entry["status"])
        self._stage.say("told", f"{entry['invalidation']} {entry['status']} after {entry['seconds']} s")

    def _again(self) -> None:
        for _ in range(2):
            self._run(["create", "/a.html", "--reference", "release-42", "--yes", "--no-checks"], 0)
        requests = self._stage.take_requests()
        expect("paths of the two requests", [["/a.html"]] * 2, [each["paths"] for each in requests])
        expect("number of invalidations", 1, len({each["id"] for each in requests}))
        self._stage.say("CloudFront", f"one invalidation, {requests[0]['id']}, for both")

    def _look(self) -> None:
        ids = [each["id"] for each in self._run(["distributions"], 0)["distributions"]]
        expect("that the distribution is listed", True, self._uploads.distribution in ids)
        listed = self._run(["list", "-d", self._uploads.distribution], 0)["distributions"][0]["invalidations"]
        expect("paths of the newest invalidation", ["/a.html"], listed[0]["paths"])
        used = self._run(["usage"], 0)["used"]
        expect("that paths were used", True, used > 0)
        self._stage.say("told", f"{used} paths used this month")
        failure = self._run(["create", "-d", "nowhere.example.org", "/x", "--yes"], 1)["failure"]
        expect_in("the advice", ["nowhere.example.org"], failure["message"])
        self._stage.say("told", failure["message"])
        self._run(["create", "-d", self._uploads.distribution, "/a*b", "--yes"], 2)
        self._stage.cloudfront_received_nothing()

    def _run(self, arguments: list[str], status: int, typed: str = "") -> Json:
        named = ["-d", self._uploads.distribution] if arguments[0] == "create" and "-d" not in arguments else []
        command = [*arguments, *named, "--output", "json"]
        self._stage.say("typed", f"cf-invalidate {shlex.join(command)}")
        ended = self._stage.cloud.cf_invalidate(command, typed)
        expect("exit code", status, ended.returncode)
        self._stage.say("exit code", str(status))
        return json.loads(ended.stdout) if ended.stdout else {}
