"""The changes of a deploy in one batch, and the same messages a second and a third time."""

from __future__ import annotations

import json
import time

from scenarios.s3_notifications import BUCKET, S3Notifications
from scenarios.sqs_queue import MAX_RECEIVED, SqsQueue
from scenarios.stack import Json, Mismatch, Stack, Step, expect

OBJECTS = [
    f"{year}/{month:02}/post-{post:02}.html" for year in (2024, 2025) for month in range(1, 11) for post in range(25)
]
MAX_PATHS = 20  # the stack's default
# Clocks differ, so for the function an invalidation covers only changes that are 5 s older.
CLOCK_SKEW = 5.5  # seconds


class LargeBatch:
    """One batch of many objects, which is delivered again as if its messages had not been deleted."""

    def __init__(self, stack: Stack, queue: SqsQueue, site: S3Notifications) -> None:
        self._stack = stack
        self._queue = queue
        self._site = site
        self._messages: list[Json] = []

    def steps(self) -> list[Step]:
        """Returns the steps in order."""
        return [
            (f"Upload {len(OBJECTS)} objects while the event source mapping is disabled", self._upload),
            ("Invoke the function with all messages in one batch, as AWS would", self._invoke_first),
            ("Invoke the function with the same batch again", self._invoke_again),
            ("Enable the event source mapping: the same messages arrive in small batches", self._deliver_again),
        ]

    def _upload(self) -> None:
        self._queue.disable_mapping()
        for key in OBJECTS:
            self._stack.upload(BUCKET, key)
        self._queue.wait_for_count(len(OBJECTS))
        time.sleep(CLOCK_SKEW)
        self._queue.set_visibility_timeout(60)  # the messages stay hidden until release() is called
        self._messages = self._queue.receive(len(OBJECTS))
        self._stack.print_detail("in the queue", f"{len(self._messages)} messages, after a wait of {CLOCK_SKEW} s")

    def _invoke_first(self) -> None:
        self._stack.print_detail("batch", f"made by the demo; MiniStack delivers at most {MAX_RECEIVED} messages")
        self._invoke()
        requests = self._stack.new_requests()
        accepted = [(request["distribution"], request["accepted"]) for request in requests]
        expect("requests to CloudFront", [(self._site.distribution, True)], accepted)
        paths = requests[0]["paths"]
        expect(f"paths beyond {MAX_PATHS}", [], paths[MAX_PATHS:])
        expect("objects that no path covers", [], [key for key in OBJECTS if not covered(key, paths)])
        self._stack.print_detail("CloudFront", f"{len(requests)} call, {len(paths)} paths: {'  '.join(paths)}")
        self._stack.function_logged(requests[0]["id"], str(len(OBJECTS)))

    def _invoke_again(self) -> None:
        self._invoke()
        self._stack.cloudfront_received_nothing()
        self._stack.function_logged(str(len(OBJECTS)), "already covered")

    def _deliver_again(self) -> None:
        self._queue.release(self._messages)
        self._queue.enable_mapping()
        self._queue.wait_for_count(0)
        batches = len(OBJECTS) // MAX_RECEIVED
        self._stack.new_invocations(batches)
        self._stack.print_detail("in the queue", f"no message, after {batches} batches of {MAX_RECEIVED}")
        self._stack.cloudfront_received_nothing()

    def _invoke(self) -> None:
        """Invokes the function synchronously with all messages, as the event source mapping does."""
        started = time.monotonic()
        response = self._stack.aws.client("lambda").invoke(
            FunctionName=self._stack.outputs["FunctionName"], Payload=json.dumps(self._queue.event(self._messages))
        )
        duration = time.monotonic() - started
        payload = json.load(response["Payload"])
        if "FunctionError" in response:
            raise Mismatch(f"the function failed: {payload}")
        expect("response to the batch", {"batchItemFailures": []}, payload)
        self._stack.print_detail("response", f"{json.dumps(payload)} after {duration:.2f} s")


def covered(key: str, paths: list[str]) -> bool:
    """Returns whether a path or a wildcard covers the object."""
    object_path = "/" + key
    return any(object_path.startswith(path[:-1]) if path.endswith("*") else object_path == path for path in paths)
