"""A deploy's worth of changes at once, and the same messages a second and a third time."""

from __future__ import annotations

import json
import time

from story.inbox import RECEIVED_AT_ONCE, Inbox
from story.stage import Json, Mismatch, Stage, Step, expect
from story.uploads import BUCKET, Uploads

OBJECTS = [
    f"{year}/{month:02}/post-{post:02}.html" for year in (2024, 2025) for month in range(1, 11) for post in range(25)
]
MAX_PATHS = 20  # the stack's default
# Clocks differ, so the function trusts an invalidation only with changes that are 5 s older.
SETTLING = 5.5  # seconds


class Burst:
    """One batch of many objects, which comes again as if nobody had deleted its messages."""

    def __init__(self, stage: Stage, inbox: Inbox, uploads: Uploads) -> None:
        self._stage = stage
        self._inbox = inbox
        self._uploads = uploads
        self._messages: list[Json] = []

    def steps(self) -> list[Step]:
        """Gives the steps in order."""
        return [
            (f"Uploaded: {len(OBJECTS)} objects, whose messages gather in the queue", self._upload),
            ("The function gets all of them in one batch, as AWS would hand them out", self._hand_over),
            ("The same batch comes again", self._hand_over_again),
            ("The same messages come again, as MiniStack hands them out", self._come_again),
        ]

    def _upload(self) -> None:
        self._inbox.pause()
        for key in OBJECTS:
            self._stage.upload(BUCKET, key)
        self._inbox.comes_to(len(OBJECTS))
        time.sleep(SETTLING)
        self._inbox.retry_after(60)  # the story has them until it gives them back
        self._messages = self._inbox.receive(len(OBJECTS))
        self._stage.say("in the queue", f"{len(self._messages)} messages, after {SETTLING} s for a batching window")

    def _hand_over(self) -> None:
        self._stage.say("batch", f"made by the story, as MiniStack hands out {RECEIVED_AT_ONCE} messages at most")
        self._invoke()
        requests = self._stage.take_requests()
        accepted = [(each["distribution"], each["accepted"]) for each in requests]
        expect("requests to CloudFront", [(self._uploads.distribution, True)], accepted)
        paths = requests[0]["paths"]
        expect(f"paths beyond {MAX_PATHS}", [], paths[MAX_PATHS:])
        expect("objects that no path covers", [], [key for key in OBJECTS if not covered(key, paths)])
        self._stage.say("CloudFront", f"{len(requests)} call, {len(paths)} paths: {'  '.join(paths)}")
        self._stage.function_said(requests[0]["id"], str(len(OBJECTS)))

    def _hand_over_again(self) -> None:
        self._invoke()
        self._stage.cloudfront_received_nothing()
        self._stage.function_said(str(len(OBJECTS)), "fresh")

    def _come_again(self) -> None:
        self._inbox.release(self._messages)
        self._inbox.resume()
        self._inbox.comes_to(0)
        batches = len(OBJECTS) // RECEIVED_AT_ONCE
        self._stage.take_invocations(batches)
        self._stage.say("in the queue", f"nothing any more, after {batches} batches of {RECEIVED_AT_ONCE}")
        self._stage.cloudfront_received_nothing()

    def _invoke(self) -> None:
        """Invokes the function with the whole batch and waits, as Lambda's own poller does."""
        began = time.monotonic()
        answer = self._stage.cloud.client("lambda").invoke(
            FunctionName=self._stage.outputs["FunctionName"], Payload=json.dumps(self._inbox.event(self._messages))
        )
        took = time.monotonic() - began
        payload = json.load(answer["Payload"])
        if "FunctionError" in answer:
            raise Mismatch(f"the function failed: {payload}")
        expect("answer to the batch", {"batchItemFailures": []}, payload)
        self._stage.say("answer", f"{json.dumps(payload)} after {took:.2f} s")


def covered(key: str, paths: list[str]) -> bool:
    """Tells whether a path, or the prefix of one, is the object's."""
    path = "/" + key
    return any(path.startswith(each[:-1]) if each.endswith("*") else path == each for each in paths)
