"""What `verify` and pipeline jobs with `verify` find at the edge, before and after invalidations."""

from __future__ import annotations

import json
import re
import shlex

from scenarios.codepipeline import CodePipeline
from scenarios.s3_notifications import BUCKET, S3Notifications
from scenarios.stack import Stack, Step, expect, expect_in

PAGE = "/news.html"
DELETED = "/old.html"
COMMA, ENCODED = "/a,b.html", "/a%2Cb.html"  # two URLs of one object: the edge keeps a copy for each
ROW = re.compile(r"^(\S+) +https://[^/ ]+(\S+) .*?([A-Z]{3}\d+-P\d+)", re.MULTILINE)
STALE = 6  # the exit code for old content


class Verification:
    """Changes objects without events, so that the edge keeps its copies until a step invalidates them."""

    def __init__(self, stack: Stack, site: S3Notifications) -> None:
        self._stack = stack
        self._site = site
        self._pipeline = CodePipeline(stack)

    def steps(self) -> list[Step]:
        """Returns the steps in order."""
        return [
            ("Verify: viewers get the objects of the bucket, and the edge keeps copies", self._fill),
            ("Verify: a new version is uploaded without an invalidation, and one POP has an old copy", self._upload),
            ("Verify: create an invalidation, wait for completion, and verify", self._create),
            ("Verify in pipeline jobs: two of them invalidate one spelling and verify another", self._run_jobs),
            ("Verify: a deleted object is gone, and the copy that the jobs missed is stale", self._find_missed),
        ]

    def _fill(self) -> None:
        self._stack.notify(BUCKET, {})
        for path in (PAGE, DELETED, COMMA):
            self._put(path, "version 1")
        rows = [f"fresh {path}" for path in (ENCODED, COMMA, PAGE, DELETED)]
        self._verify(["verify", PAGE, DELETED, ENCODED], 0, rows)

    def _upload(self) -> None:
        self._put(PAGE, "version 2")
        self._verify(["verify", PAGE], STALE, [f"stale {PAGE}"])
        first, second, *_ = self._stack.aws.pops()
        command = ["verify", PAGE, "--from", f"{first},{second}"]
        responded = self._verify(command, STALE, [f"stale {PAGE}", f"fresh {PAGE}"])
        expect("POPs that responded", [first, second], responded)
        self._stack.cloudfront_received_nothing()

    def _create(self) -> None:
        self._verify(["create", PAGE, "--wait=1m", "--verify", "--yes"], 0, [f"fresh {PAGE}"])
        self._stack.cloudfront_received((self._site.distribution, [PAGE]))

    def _run_jobs(self) -> None:
        self._put(PAGE, "version 3")
        self._put(COMMA, "version 2")
        self._stack.aws.client("s3").delete_object(Bucket=BUCKET, Key=DELETED.removeprefix("/"))
        covered = self._start({"paths": [PAGE, DELETED], "wait": "1m", "verify": True})
        missed = self._start({"paths": [COMMA], "wait": "1m", "verify": [ENCODED]})
        accepted = self._start({"paths": [COMMA], "wait": "1m", "verify": [ENCODED], "onStale": "succeed"})
        paths = ([PAGE, DELETED], [COMMA], [COMMA])
        self._stack.cloudfront_received(*((self._site.distribution, sent) for sent in paths))
        covered, missed, accepted = [self._pipeline.continue_job(job) for job in (covered, missed, accepted)]
        # The function does not read the bucket, so the deletion is not known.
        self._succeeds(covered, "1 unknown, 1 fresh", "true", "none")
        failure = self._pipeline.failed(missed)
        expect("type of the failure", "JobFailed", failure["type"])
        expect_in("message of the failure", ["1 stale, 1 fresh", f"{ENCODED} is stale"], failure["message"])
        self._succeeds(accepted, f"{ENCODED} is stale", "false", ENCODED)
        self._pipeline.validate_results()
        self._stack.new_invocations(6)

    def _find_missed(self) -> None:
        rows = [f"gone {DELETED}", f"fresh {PAGE}"]
        self._verify(["verify", PAGE, DELETED], 0, rows)
        self._verify(["verify", PAGE, DELETED, ENCODED], STALE, [f"stale {ENCODED}", *rows[:1], f"fresh {COMMA}", *rows[1:]])

    def _start(self, user_parameters: dict[str, object]) -> str:
        return self._pipeline.start(json.dumps(user_parameters))

    def _succeeds(self, job: str, summary: str, verified: str, stale: str) -> None:
        body = self._pipeline.succeeded(job)
        expect_in("summary of the job", [summary], body["executionDetails"]["summary"])
        variables = body["outputVariables"]
        expect("output variable Verified", verified, variables["Verified"])
        path = re.sub("^https://[^/]+", "", variables["StaleUrls"])
        expect("path of the output variable StaleUrls", stale, path)

    def _verify(self, arguments: list[str], exit_code: int, rows: list[str]) -> list[str]:
        """Runs a command; requires the verdict and the path of each row of its table, and returns the POPs."""
        command = [*arguments, "-d", self._site.distribution]
        self._stack.print_detail("command", f"cf-invalidate {shlex.join(command)}")
        process = self._stack.aws.cf_invalidate(command)
        self._stack.print_lines(process.stdout + process.stderr)
        found = ROW.findall(process.stdout)
        expect("verdicts and paths", rows, [f"{verdict} {path}" for verdict, path, _ in found])
        expect("exit code", exit_code, process.returncode)
        self._stack.print_detail("exit code", str(exit_code))
        return [pop for _, _, pop in found]

    def _put(self, path: str, body: str) -> None:
        self._stack.aws.client("s3").put_object(
            Bucket=BUCKET, Key=path.removeprefix("/"), Body=body.encode(), ContentType="text/html"
        )
