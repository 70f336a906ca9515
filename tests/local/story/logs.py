"""What must hold for every line that the function wrote in the whole story."""

from __future__ import annotations

import json
from datetime import datetime

from story.stage import Mismatch, Stage, Step, expect, expect_in


class Logs:
    """The function's log, from the first invocation to the last."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def steps(self) -> list[Step]:
        """Gives the steps in order."""
        return [("What the function logged", self._check)]

    def _check(self) -> None:
        lines = [line for invocation in self._stage.log().values() for line in invocation]
        if not lines:
            raise Mismatch(f"the function's log group {self._stage.outputs['LogGroupName']} is empty")
        for line in lines:
            check(line)
        for secret in self._stage.secrets:
            expect("log lines with a job's credentials", [], [line for line in lines if secret in line])
        told = f"{len(lines)} lines, each JSON with timestamp and level, none with a job's credentials"
        self._stage.say("log", told)


def check(line: str) -> None:
    """Requires what Lambda needs to filter by level: JSON with `level` and an RFC 3339 `timestamp`."""
    try:
        fields = json.loads(line)
        moment = datetime.fromisoformat(fields["timestamp"])
    except (ValueError, KeyError, TypeError):
        raise Mismatch(f"log line\n  expected  JSON with an RFC 3339 timestamp\n  got       {line!r}") from None
    expect(f"offset in the timestamp of {line!r}", True, moment.tzinfo is not None)
    expect_in(f"level of {line!r}", [str(fields.get("level"))], "TRACE DEBUG INFO WARN ERROR")
