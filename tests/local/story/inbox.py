"""The stack's queue, and the mapping by which Lambda hands its messages to the function.

MiniStack knows no batching window: it hands out what it finds at once, ten messages at most. So the story pauses the
mapping while messages gather, which is what a window does.
"""

from __future__ import annotations

from typing import Any

from cloud import REGION, poll

from story.stage import REPLY_DEADLINE, Json, Mismatch, Stage, expect

RECEIVED_AT_ONCE = 10  # the most that SQS has for one call


class Inbox:
    """What happens to messages from their arrival to their deletion."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def describe(self) -> Json:
        """Gives the queue's attributes."""
        described = self._sqs().get_queue_attributes(QueueUrl=self._url(), AttributeNames=["All"])
        return described["Attributes"]

    def mapping(self) -> Json:
        """Gives the settings by which Lambda makes batches."""
        function = self._stage.outputs["FunctionName"]
        return self._lambda().list_event_source_mappings(FunctionName=function)["EventSourceMappings"][0]

    def pause(self) -> None:
        """Lets messages gather."""
        self._lambda().update_event_source_mapping(UUID=self.mapping()["UUID"], Enabled=False)

    def resume(self) -> None:
        """Hands the messages to the function, now and when they come."""
        self._lambda().update_event_source_mapping(UUID=self.mapping()["UUID"], Enabled=True)

    def retry_after(self, seconds: int) -> None:
        """Shortens the wait for a failed message: the story has no time for the stack's."""
        self._sqs().set_queue_attributes(QueueUrl=self._url(), Attributes={"VisibilityTimeout": str(seconds)})

    def count(self) -> int:
        """Counts the messages, those included that were handed out and are not deleted."""
        attributes = self.describe()
        return int(attributes["ApproximateNumberOfMessages"]) + int(attributes["ApproximateNumberOfMessagesNotVisible"])

    def comes_to(self, count: int) -> None:
        """Requires that the queue soon holds so many messages."""
        if not poll(lambda: self.count() == count, REPLY_DEADLINE):
            raise Mismatch(f"{self.count()} messages are in the queue, and {count} should be")

    def send(self, body: str) -> str:
        """Puts a message into the queue; gives its id."""
        return self._sqs().send_message(QueueUrl=self._url(), MessageBody=body)["MessageId"]

    def receive(self, count: int) -> list[Json]:
        """Takes messages without deleting them."""
        messages: list[Json] = []
        while len(messages) < count:
            received = self._sqs().receive_message(
                QueueUrl=self._url(), MaxNumberOfMessages=RECEIVED_AT_ONCE, MessageSystemAttributeNames=["All"]
            )
            if not received.get("Messages"):
                break
            messages += received["Messages"]
        expect("messages received", count, len(messages))
        return messages

    def release(self, messages: list[Json]) -> None:
        """Ends the time for which messages are hidden: as nobody deleted them, they come again."""
        for first in range(0, len(messages), RECEIVED_AT_ONCE):
            entries = [
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}
                for number, message in enumerate(messages[first : first + RECEIVED_AT_ONCE])
            ]
            self._sqs().change_message_visibility_batch(QueueUrl=self._url(), Entries=entries)

    def event(self, messages: list[Json]) -> Json:
        """Makes of messages what Lambda would hand to the function."""
        return {"Records": [self._record(message) for message in messages]}

    def _record(self, message: Json) -> Json:
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message["Attributes"],
            "messageAttributes": {},
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self._stage.outputs["QueueArn"],
            "awsRegion": REGION,
        }

    def _url(self) -> str:
        return self._stage.outputs["QueueUrl"]

    def _sqs(self) -> Any:
        return self._stage.cloud.client("sqs")

    def _lambda(self) -> Any:
        return self._stage.cloud.client("lambda")
