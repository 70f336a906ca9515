"""What must hold for every line that the functions logged in any scenario."""

from __future__ import annotations

import json
import re
import tomllib
from datetime import datetime

from local_aws import PROJECT

from scenarios.stack import Mismatch, Stack, Step, expect, expect_in

PACKAGE = tomllib.loads((PROJECT / "Cargo.toml").read_text(encoding="utf-8"))["package"]
BUILD = r"debug build|[0-9a-f]{10} \d{4}-\d{2}-\d{2}(, changed since)?"
GROUPS = ("LogGroupName", "SlackLogGroupName")  # outputs of the stack


class Logs:
    """The log of all scenarios: that of the function, and that of the functions for Slack."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def steps(self) -> list[Step]:
        """Returns the steps in order."""
        return [("Check the log of all invocations", self._check)]

    def _check(self) -> None:
        # The command line is of the same build.
        version = self._stack.aws.cf_invalidate(["--version"]).stdout.strip().removeprefix("cf-invalidate ")
        if not re.fullmatch(rf"{re.escape(PACKAGE['version'])} \(({BUILD})\)", version):
            raise Mismatch(f"cf-invalidate --version\n  expected  {PACKAGE['version']} ({BUILD})\n  got       {version}")
        for group in GROUPS:
            lines = [line for invocation in self._stack.log(group).values() for line in invocation]
            if not lines:
                raise Mismatch(f"the log group {self._stack.outputs[group]} is empty")
            for line in lines:
                check(line)
            starts = [json.loads(line) for line in lines if "the function starts" in line]
            expect("versions in the log", {version}, {line["version"] for line in starts})
            for secret in self._stack.secrets:
                expect("log lines with a secret", [], [line for line in lines if secret in line])
            summary = f"{len(lines)} lines, each JSON with timestamp and level, none with a secret of a job or of Slack"
            self._stack.print_detail(self._stack.outputs[group], summary)


def check(line: str) -> None:
    """Requires the form by which Lambda filters levels: JSON with `level` and an RFC 3339 `timestamp`."""
    try:
        fields = json.loads(line)
        moment = datetime.fromisoformat(fields["timestamp"])
    except (ValueError, KeyError, TypeError):
        raise Mismatch(f"log line\n  expected  JSON with an RFC 3339 timestamp\n  got       {line!r}") from None
    expect(f"offset in the timestamp of {line!r}", True, moment.tzinfo is not None)
    expect_in(f"level of {line!r}", [str(fields.get("level"))], "TRACE DEBUG INFO WARN ERROR")
