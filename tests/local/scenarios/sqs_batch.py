"""Messages from S3, SNS and EventBridge in one batch from the stack's queue, and a poison message."""

from __future__ import annotations

import json
from functools import partial

from scenarios.s3_notifications import BUCKET, S3Notifications
from scenarios.sqs_queue import SqsQueue
from scenarios.stack import Json, Stack, Step, expect, expect_in

EVENTS = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
TEST_EVENTS = 3  # one for each destination, when it is added to the notification configuration
POISON = "this is not an event"


class SqsBatch:
    """Messages from all services in one batch, one of them poison."""

    def __init__(self, stack: Stack, queue: SqsQueue, site: S3Notifications) -> None:
        self._stack = stack
        self._queue = queue
        self._site = site
        self._expected_count = 0

    def steps(self) -> list[Step]:
        """Returns the steps in order."""
        return [
            ("Update the stack to the first bucket, and disable the event source mapping", self._update),
            ("Configure the bucket to notify the queue and two topics that it subscribes to", self._connect),
            ("Upload s3/page.html: S3 sends the message", partial(self._upload, "s3")),
            ("Upload sns/page.html: SNS sends the message", partial(self._upload, "sns")),
            ("Upload raw/page.html: SNS sends the message with raw delivery", partial(self._upload, "raw")),
            ("Upload rule/page.html: the stack's EventBridge rule sends the message", self._upload_by_rule),
            ("Send a message that is not an event", self._poison),
            ("Enable the event source mapping: one batch contains all messages", self._invoke),
            ("The failed message is retried, then moved to the dead-letter queue", self._wait_for_dead_letter),
        ]

    def _update(self) -> None:
        stack = self._stack
        stack.reset_standin()
        stack.update({"DistributionId": self._site.distribution, "SourceBucket": BUCKET})
        mapping, queue = self._queue.mapping(), self._queue.describe()
        self._attempts = int(json.loads(queue["RedrivePolicy"])["maxReceiveCount"])
        window = mapping["MaximumBatchingWindowInSeconds"]
        stack.print_detail("queue", f"a batch contains the messages of {window} s, at most {mapping['BatchSize']}")
        delay = queue["VisibilityTimeout"]
        stack.print_detail("", f"a failed message is retried after {delay} s, with {self._attempts} attempts in all")
        self._queue.disable_mapping()

    def _connect(self) -> None:
        topics = {name: self._stack.create_topic(name, BUCKET) for name in ("sns", "raw")}
        for name, topic in topics.items():
            self._subscribe(topic, raw=name == "raw")
        queue = self._stack.outputs["QueueArn"]
        self._stack.notify(
            BUCKET,
            {
                "QueueConfigurations": [{"QueueArn": queue, "Events": EVENTS, "Filter": folder("s3")}],
                "TopicConfigurations": [
                    {"TopicArn": topic, "Events": EVENTS, "Filter": folder(name)} for name, topic in topics.items()
                ],
            },
        )
        self._wait_for_more(TEST_EVENTS)
        self._stack.print_detail("in the queue", f"{TEST_EVENTS} test events, which S3 sends to check its permission")

    def _subscribe(self, topic: str, raw: bool) -> None:
        """Makes the queue receive what the topic publishes."""
        self._stack.aws.client("sns").subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=self._stack.outputs["QueueArn"],
            Attributes={"RawMessageDelivery": str(raw).lower()},
        )

    def _upload(self, name: str) -> None:
        self._stack.upload(BUCKET, f"{name}/page.html")
        self._wait_for_more(1)

    def _upload_by_rule(self) -> None:
        self._stack.notify(BUCKET, {"EventBridgeConfiguration": {}})
        self._upload("rule")

    def _poison(self) -> None:
        self._poisoned = self._queue.send(POISON)
        self._stack.print_detail("message", f"{self._poisoned}: {POISON}")
        self._wait_for_more(1)

    def _invoke(self) -> None:
        self._queue.set_visibility_timeout(5)
        self._queue.enable_mapping()
        paths = [f"/{name}/page.html" for name in ("raw", "rule", "s3", "sns")]
        self._stack.cloudfront_received((self._site.distribution, paths))
        lines = self._stack.new_invocations(1)[0]
        failed = [line for line in lines if line["level"] in ("WARN", "ERROR")]
        expect("number of failures in the log", 1, len(failed))
        expect_in("failure in the log", [self._poisoned], json.dumps(failed[0]))
        for line in lines:
            ids = f" ({line['ids']})" if "ids" in line else ""
            self._stack.print_detail("function", f"{line['level']}{ids}: {line['message']}")
        self._queue.wait_for_count(1)
        self._stack.print_detail("in the queue", "only the failed message")

    def _wait_for_dead_letter(self) -> None:
        self._queue.set_visibility_timeout(0)
        message = self._stack.take_failed("DeadLetterQueueUrl")
        expect("message in the dead-letter queue", (self._poisoned, POISON), (message["MessageId"], message["Body"]))
        self._queue.wait_for_count(0)
        self._stack.new_invocations(self._attempts - 1)
        self._stack.print_detail("dead letter", f"the message, after {self._attempts} attempts: {POISON}")
        self._stack.cloudfront_received_nothing()

    def _wait_for_more(self, count: int) -> None:
        self._expected_count += count
        self._queue.wait_for_count(self._expected_count)


def folder(name: str) -> Json:
    """Returns a filter that limits a notification to a folder."""
    return {"Key": {"FilterRules": [{"Name": "prefix", "Value": f"{name}/"}]}}
