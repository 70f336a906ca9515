"""All ways from a bucket through the stack's queue, and a message that nobody can handle."""

from __future__ import annotations

import json
from functools import partial

from cloud import poll

from story.inbox import Inbox
from story.stage import REPLY_DEADLINE, Json, Stage, Step, expect, expect_in
from story.uploads import BUCKET, Uploads

EVENTS = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
TEST_EVENTS = 3  # one for each that a notification names, as soon as it does
POISON = "this is no event"


class Queue:
    """Messages of all shapes in one batch, one of them poison."""

    def __init__(self, stage: Stage, inbox: Inbox, uploads: Uploads) -> None:
        self._stage = stage
        self._inbox = inbox
        self._uploads = uploads
        self._gathered = 0

    def steps(self) -> list[Step]:
        """Gives the steps in order."""
        return [
            ("The stack is changed back to the first bucket and distribution, and lets messages gather", self._change),
            ("The bucket is told to notify the queue, and two topics that it subscribes to", self._connect),
            ("Uploaded: s3/page.html, which comes from S3", partial(self._upload, "s3")),
            ("Uploaded: sns/page.html, which comes from a topic", partial(self._upload, "sns")),
            ("Uploaded: raw/page.html, which comes from a topic with raw delivery", partial(self._upload, "raw")),
            ("Uploaded: rule/page.html, which comes from the stack's EventBridge rule", self._upload_by_rule),
            ("Sent: a message that is no event", self._poison),
            ("The function gets all of them in one batch", self._take),
            ("What failed comes again, until SQS gives it up", self._give_up),
        ]

    def _change(self) -> None:
        stage = self._stage
        stage.rest()
        stage.change({"DistributionId": self._uploads.distribution, "SourceBucket": BUCKET})
        mapping, queue = self._inbox.mapping(), self._inbox.describe()
        self._tries = int(json.loads(queue["RedrivePolicy"])["maxReceiveCount"])
        window = mapping["MaximumBatchingWindowInSeconds"]
        stage.say("queue", f"a batch is what gathers in {window} s, at most {mapping['BatchSize']} messages")
        stage.say("", f"what failed comes again after {queue['VisibilityTimeout']} s, {self._tries} times in all")
        self._inbox.pause()

    def _connect(self) -> None:
        topics = {name: self._stage.create_topic(name, BUCKET) for name in ("sns", "raw")}
        for name, topic in topics.items():
            self._subscribe(topic, raw=name == "raw")
        queue = self._stage.outputs["QueueArn"]
        self._stage.notify(
            BUCKET,
            {
                "QueueConfigurations": [{"QueueArn": queue, "Events": EVENTS, "Filter": folder("s3")}],
                "TopicConfigurations": [
                    {"TopicArn": topic, "Events": EVENTS, "Filter": folder(name)} for name, topic in topics.items()
                ],
            },
        )
        self._gathers(TEST_EVENTS)
        self._stage.say("in the queue", f"{TEST_EVENTS} test events, by which S3 makes sure that it may send")

    def _subscribe(self, topic: str, raw: bool) -> None:
        """Makes the queue receive what the topic publishes."""
        self._stage.cloud.client("sns").subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=self._stage.outputs["QueueArn"],
            Attributes={"RawMessageDelivery": str(raw).lower()},
        )

    def _upload(self, name: str) -> None:
        self._stage.upload(BUCKET, f"{name}/page.html")
        self._gathers(1)

    def _upload_by_rule(self) -> None:
        self._stage.notify(BUCKET, {"EventBridgeConfiguration": {}})
        self._upload("rule")

    def _poison(self) -> None:
        self._poisoned = self._inbox.send(POISON)
        self._stage.say("message", f"{self._poisoned}: {POISON}")
        self._gathers(1)

    def _take(self) -> None:
        self._inbox.retry_after(5)
        self._inbox.resume()
        paths = [f"/{name}/page.html" for name in ("raw", "rule", "s3", "sns")]
        self._stage.cloudfront_received((self._uploads.distribution, paths))
        lines = self._stage.take_invocations(1)[0]
        failed = [line for line in lines if line["level"] in ("WARN", "ERROR")]
        expect("number of failures in the log", 1, len(failed))
        expect_in("failure in the log", [self._poisoned], json.dumps(failed[0]))
        for line in lines:
            ids = f" ({line['ids']})" if "ids" in line else ""
            self._stage.say("function", f"{line['level']}{ids}: {line['message']}")
        self._inbox.comes_to(1)
        self._stage.say("in the queue", "the message that failed, and no other")

    def _give_up(self) -> None:
        self._inbox.retry_after(0)
        sqs = self._stage.cloud.client("sqs")
        queue = self._stage.outputs["DeadLetterQueueUrl"]
        messages = poll(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"), REPLY_DEADLINE) or []
        kept = [(message["MessageId"], message["Body"]) for message in messages]
        expect("messages in the dead-letter queue", [(self._poisoned, POISON)], kept)
        self._inbox.comes_to(0)
        self._stage.take_invocations(self._tries - 1)
        self._stage.say("kept", f"in the dead-letter queue after {self._tries} tries: {POISON}")
        self._stage.cloudfront_received_nothing()

    def _gathers(self, count: int) -> None:
        self._gathered += count
        self._inbox.comes_to(self._gathered)


def folder(name: str) -> Json:
    """Narrows a notification down to a folder."""
    return {"Key": {"FilterRules": [{"Name": "prefix", "Value": f"{name}/"}]}}
