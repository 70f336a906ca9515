"""The stack's SQS queue and its event source mapping.

MiniStack has no batching window: it invokes the function at once with at most ten messages. So the scenarios disable
the event source mapping while messages arrive, to the effect of a window.
"""

from __future__ import annotations

from typing import Any

from local_aws import REGION, poll

from scenarios.stack import TIMEOUT, Json, Mismatch, Stack, expect

MAX_RECEIVED = 10  # messages in one call of SQS


class SqsQueue:
    """Sends, receives and counts messages, and enables or disables the event source mapping."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def describe(self) -> Json:
        """Returns the queue's attributes."""
        described = self._sqs().get_queue_attributes(QueueUrl=self._url(), AttributeNames=["All"])
        return described["Attributes"]

    def mapping(self) -> Json:
        """Returns the configuration of the event source mapping."""
        function = self._stack.outputs["FunctionName"]
        return self._lambda().list_event_source_mappings(FunctionName=function)["EventSourceMappings"][0]

    def disable_mapping(self) -> None:
        """Disables the event source mapping, so that messages stay in the queue."""
        self._lambda().update_event_source_mapping(UUID=self.mapping()["UUID"], Enabled=False)

    def enable_mapping(self) -> None:
        """Enables the event source mapping."""
        self._lambda().update_event_source_mapping(UUID=self.mapping()["UUID"], Enabled=True)

    def set_visibility_timeout(self, seconds: int) -> None:
        """Sets the visibility timeout: the demo does not wait as long as the stack's."""
        self._sqs().set_queue_attributes(QueueUrl=self._url(), Attributes={"VisibilityTimeout": str(seconds)})

    def count(self) -> int:
        """Returns the number of messages, including those that were received and not deleted."""
        attributes = self.describe()
        return int(attributes["ApproximateNumberOfMessages"]) + int(attributes["ApproximateNumberOfMessagesNotVisible"])

    def wait_for_count(self, count: int) -> None:
        """Waits until the queue contains this number of messages."""
        if not poll(lambda: self.count() == count, TIMEOUT):
            raise Mismatch(f"{self.count()} messages are in the queue instead of {count}")

    def send(self, body: str) -> str:
        """Sends a message; returns its id."""
        return self._sqs().send_message(QueueUrl=self._url(), MessageBody=body)["MessageId"]

    def receive(self, count: int) -> list[Json]:
        """Receives messages without deleting them."""
        messages: list[Json] = []
        while len(messages) < count:
            received = self._sqs().receive_message(
                QueueUrl=self._url(), MaxNumberOfMessages=MAX_RECEIVED, MessageSystemAttributeNames=["All"]
            )
            if not received.get("Messages"):
                break
            messages += received["Messages"]
        expect("messages received", count, len(messages))
        return messages

    def release(self, messages: list[Json]) -> None:
        """Makes received messages visible again."""
        for first in range(0, len(messages), MAX_RECEIVED):
            entries = [
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}
                for number, message in enumerate(messages[first : first + MAX_RECEIVED])
            ]
            self._sqs().change_message_visibility_batch(QueueUrl=self._url(), Entries=entries)

    def event(self, messages: list[Json]) -> Json:
        """Returns the event that Lambda would make from these messages."""
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
            "eventSourceARN": self._stack.outputs["QueueArn"],
            "awsRegion": REGION,
        }

    def _url(self) -> str:
        return self._stack.outputs["QueueUrl"]

    def _sqs(self) -> Any:
        return self._stack.aws.client("sqs")

    def _lambda(self) -> Any:
        return self._stack.aws.client("lambda")
