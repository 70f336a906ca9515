"""`cf-invalidate replay` with the undelivered queue of the stack: changes go through the queue, everything else stays."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime
from typing import Any

from local_aws import PROJECT

from scenarios.s3_notifications import BUCKET, S3Notifications
from scenarios.sqs_queue import SqsQueue
from scenarios.stack import Json, Stack, Step, expect, expect_in

# One changed object in a record of Lambda, and one in an event that EventBridge could not deliver.
KEYS = ["replayed/record.html", "replayed/rule.html"]
PATHS = [f"/{key}" for key in KEYS]
FAILURE = "not allowed to call cloudfront:CreateInvalidation"
LEFT = {"pipeline_job": 1, "direct_invocation": 1, "unknown": 1}
CREDENTIALS = ("accessKeyId", "secretAccessKey", "sessionToken")  # in a pipeline job
API_KEY = "EXAMPLEAPIKEY"  # in a message that is no event of the function


class Replay:
    """Messages of all kinds in the undelivered queue, and what the command does with them."""

    def __init__(self, stack: Stack, queue: SqsQueue, site: S3Notifications) -> None:
        self._stack = stack
        self._queue = queue
        self._site = site

    def steps(self) -> list[Step]:
        """Returns the steps in order."""
        return [
            ("Replay: the undelivered queue has two changes, a job, a direct invocation and an unknown body", self._fill),
            ("Replay: a dry run sends nothing and leaves all messages", self._dry_run),
            ("Replay: if the changes cannot be sent, all messages are left", self._fail_to_send),
            ("Replay: the changes go through the queue, and the other messages are left", self._replay),
            ("Replay: a second run sends nothing, and an empty queue is a success", self._replay_again),
        ]

    def _fill(self) -> None:
        self._stack.update({"DistributionId": self._site.distribution})
        self._queue.disable_mapping()
        job = sample("codepipeline-job.json")
        credentials = job["CodePipeline.job"]["data"]["artifactCredentials"]
        self._stack.secrets |= {API_KEY, *(credentials[name] for name in CREDENTIALS)}
        bodies = [
            self._record(notification(KEYS[0])),
            self._record(job),
            self._record({"paths": ["/not-replayed.html"]}),
            json.dumps({"apiKey": API_KEY}),
            json.dumps(event_bridge(KEYS[1])),
        ]
        for body in bodies:
            self._sqs().send_message(QueueUrl=self._undelivered(), MessageBody=body)
        self._expect_undelivered(len(bodies))

    def _dry_run(self) -> None:
        # With -vv, the command also prints its calls and its log.
        output = self._run(["--dry-run", "-vv"], 1)
        expect_in("the output", ["would send 2 messages to queue", FAILURE, "would leave 1 pipeline job"], output)
        self._expect_undelivered(5)
        self._queue.wait_for_count(0)

    def _fail_to_send(self) -> None:
        missing = self._stack.outputs["QueueUrl"] + "-missing"
        result = self._run_json(["--to", missing], 1)
        self._expect_result(result, received=5, planned=2, sent=0, left=LEFT | {"not_sent": 2})
        expect_in("the error message", [missing], result["error"]["message"])
        self._expect_undelivered(5)

    def _replay(self) -> None:
        result = self._run_json([], 1)
        self._expect_result(result, received=5, planned=2, sent=2, left=LEFT)
        expect("queues of the result", (self._undelivered(), self._stack.outputs["QueueUrl"]), (result["queue"], result["to"]))
        expect("errors of the changes", [{"message": FAILURE, "messages": 1}], result["errors"])
        self._expect_undelivered(3)
        self._queue.wait_for_count(2)
        self._stack.cloudfront_received_nothing()
        self._queue.enable_mapping()
        request = self._stack.cloudfront_received((self._site.distribution, PATHS))[0]
        self._stack.function_logged(request["id"], *PATHS)
        self._queue.wait_for_count(0)

    def _replay_again(self) -> None:
        self._expect_result(self._run_json([], 1), received=3, planned=0, sent=0, left=LEFT)
        self._expect_undelivered(3)
        self._sqs().purge_queue(QueueUrl=self._undelivered())
        self._expect_result(self._run_json([], 0), received=0, planned=0, sent=0, left={})
        self._stack.cloudfront_received_nothing()

    def _record(self, event: Json) -> str:
        """Returns the message that Lambda makes of an asynchronous event after its last attempt failed."""
        function = self._stack.outputs["FunctionArn"] + ":$LATEST"
        context = {"functionArn": function, "condition": "RetriesExhausted", "approximateInvokeCount": 3}
        failure = {"errorType": "permission", "errorMessage": FAILURE}
        return json.dumps({"requestContext": context, "requestPayload": event, "responsePayload": failure})

    def _expect_result(self, result: Json, *, received: int, planned: int, sent: int, left: dict[str, int]) -> None:
        """Requires these counts of messages."""
        got = {name: result[name] for name in ("received", "planned", "sent")}
        expect("counts of messages", {"received": received, "planned": planned, "sent": sent}, got)
        reasons = {entry["reason"]: entry["messages"] for entry in result["left"]}
        expect("messages that are left, by reason", left, reasons)
        for entry in result["left"]:
            self._stack.print_detail(f"left {entry['messages']}", f"{entry['reason']}: {entry['hint']}")

    def _run_json(self, options: list[str], exit_code: int) -> Json:
        return json.loads(self._run([*options, "--output", "json"], exit_code))

    def _run(self, options: list[str], exit_code: int) -> str:
        """Runs the command for the undelivered queue; requires that it prints no secret, and returns its stdout."""
        command = ["replay", self._undelivered(), *options]
        self._stack.print_detail("command", f"cf-invalidate {shlex.join(command)}")
        process = self._stack.aws.cf_invalidate(command)
        printed = process.stdout + process.stderr
        for secret in self._stack.secrets:
            expect("printed lines with a secret", [], [line for line in printed.splitlines() if secret in line])
        expect(f"exit code, with {process.stderr!r}", exit_code, process.returncode)
        self._stack.print_detail("exit code", str(exit_code))
        return process.stdout

    def _expect_undelivered(self, count: int) -> None:
        """Requires this number of messages in the undelivered queue, all of them visible."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        described = self._sqs().get_queue_attributes(QueueUrl=self._undelivered(), AttributeNames=names)
        got = tuple(int(described["Attributes"][name]) for name in names)
        expect("visible and invisible messages in the undelivered queue", (count, 0), got)
        self._stack.print_detail("undelivered", f"{count} messages, all visible")

    def _undelivered(self) -> str:
        return self._stack.outputs["UndeliveredQueueUrl"]

    def _sqs(self) -> Any:
        return self._stack.aws.client("sqs")


def sample(name: str) -> Json:
    """Returns a sample of an event."""
    return json.loads((PROJECT / "events" / name).read_text(encoding="utf-8"))


def notification(key: str) -> Json:
    """Returns S3's notification about a change of now, which no invalidation covers."""
    event = sample("s3-object-created.json")
    event["Records"][0]["eventTime"] = timestamp()
    event["Records"][0]["s3"]["bucket"]["name"] = BUCKET
    event["Records"][0]["s3"]["object"]["key"] = key
    return event


def event_bridge(key: str) -> Json:
    """Returns the event of EventBridge about a deletion of now."""
    event = sample("eventbridge-object-deleted.json")
    event["time"] = timestamp()
    event["detail"]["bucket"]["name"] = BUCKET
    event["detail"]["object"]["key"] = key
    return event


def timestamp() -> str:
    """Returns the current time in the form of S3."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
