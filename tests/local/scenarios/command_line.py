"""The command line, with the output of `aws s3 sync`."""

from __future__ import annotations

import json
import shlex

from scenarios.s3_notifications import BUCKET, S3Notifications
from scenarios.stack import Json, Stack, Step, expect, expect_in

# The form of the AWS CLI. The command line does not read the objects, so they need not exist.
SYNCED = f"""upload: public/terms of use.html to s3://{BUCKET}/terms of use.html
upload: public/news/2026.html to s3://{BUCKET}/news/2026.html
delete: s3://{BUCKET}/news/2025.html
"""
PATHS = ["/news/2025.html", "/news/2026.html", "/terms%20of%20use.html", "/terms+of+use.html"]


class CommandLine:
    """Commands for the distribution of the stack."""

    def __init__(self, stack: Stack, site: S3Notifications) -> None:
        self._stack = stack
        self._site = site

    def steps(self) -> list[Step]:
        """Returns the steps in order."""
        return [
            ("Command line: invalidate what a sync changed, and wait for completion", self._create),
            ("Command line: the same reference twice creates one invalidation", self._create_twice),
            ("Command line: list distributions, invalidations and usage, and report mistakes", self._list),
        ]

    def _create(self) -> None:
        result = self._run(["create", "--from-s3-sync", "-", "--yes", "--wait=1m"], 0, SYNCED)
        self._stack.cloudfront_received((self._site.distribution, PATHS))
        entry = result["distributions"][0]
        expect("its status", "Completed", entry["status"])
        self._stack.print_detail("result", f"{entry['invalidation']} {entry['status']} after {entry['seconds']} s")

    def _create_twice(self) -> None:
        for _ in range(2):
            self._run(["create", "/a.html", "--reference", "release-42", "--yes", "--no-checks"], 0)
        requests = self._stack.new_requests()
        expect("paths of the two requests", [["/a.html"]] * 2, [request["paths"] for request in requests])
        expect("number of invalidations", 1, len({request["id"] for request in requests}))
        self._stack.print_detail("CloudFront", f"one invalidation, {requests[0]['id']}, for both")

    def _list(self) -> None:
        distributions = self._run(["distributions"], 0)["distributions"]
        ids = [distribution["id"] for distribution in distributions]
        expect("that the distribution is listed", True, self._site.distribution in ids)
        listed = self._run(["list", "-d", self._site.distribution], 0)["distributions"][0]["invalidations"]
        expect("paths of the newest invalidation", ["/a.html"], listed[0]["paths"])
        used = self._run(["usage"], 0)["used"]
        expect("that paths were used", True, used > 0)
        self._stack.print_detail("result", f"{used} paths used this month")
        failure = self._run(["create", "-d", "nowhere.example.org", "/x", "--yes"], 1)["failure"]
        expect_in("the error message", ["nowhere.example.org"], failure["message"])
        self._stack.print_detail("error", failure["message"])
        self._run(["create", "-d", self._site.distribution, "/a*b", "--yes"], 2)
        self._stack.cloudfront_received_nothing()

    def _run(self, arguments: list[str], exit_code: int, standard_input: str = "") -> Json:
        distribution = ["-d", self._site.distribution] if arguments[0] == "create" and "-d" not in arguments else []
        command = [*arguments, *distribution, "--output", "json"]
        self._stack.print_detail("command", f"cf-invalidate {shlex.join(command)}")
        process = self._stack.aws.cf_invalidate(command, standard_input)
        expect("exit code", exit_code, process.returncode)
        self._stack.print_detail("exit code", str(exit_code))
        return json.loads(process.stdout) if process.stdout else {}
