"""What the scenarios share: the deployed stack, its effects, and how these are printed and checked.

A step acts on the stack from outside, as a user or a service would. Then it reads the effects: the requests that
CloudFront received, and the log of each invocation. Each effect is read only once. So a step sees only its own
effects, and an effect that no step expected makes the next step fail.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from local_aws import LocalAws, poll

from scenarios.policies import Policies

STACK = "cloudfront-invalidator"
TIMEOUT = 20.0  # seconds; an effect takes well under one on an idle machine
FAILURE_QUEUES = ("DeadLetterQueueUrl", "UndeliveredQueueUrl")  # outputs of the stack
EVENTS = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:LifecycleExpiration:*"]
INDENT = " " * 18
WIDTH = 96

Json = dict[str, Any]
Step = tuple[str, Callable[[], None]]


class Scenario(Protocol):
    """Steps that belong together."""

    def steps(self) -> list[Step]:
        """Returns the steps in order."""


class Mismatch(Exception):
    """An effect differs from the expected one."""


def lines_of_invocation(lines: list[str]) -> list[Json]:
    """Returns the log lines without the first one of a process, which it writes before its first invocation."""
    return [line for line in map(json.loads, lines) if line["message"] != "the function starts"]


def expect(subject: str, expected: object, got: object) -> None:
    """Requires that both are equal."""
    if got != expected:
        raise Mismatch(f"{subject}\n  expected  {expected!r}\n  got       {got!r}")


def expect_in(subject: str, parts: Iterable[str], text: str) -> None:
    """Requires that the text contains every part."""
    for part in parts:
        if part not in text:
            raise Mismatch(f"{subject}\n  expected  a text with {part!r}\n  got       {text!r}")


class Stack:
    """The local AWS with the deployed stack; `outputs` are those of the last deployment or update."""

    def __init__(self, aws: LocalAws, quiet: bool) -> None:
        self.aws = aws
        self.outputs: dict[str, str] = {}
        self.secrets: set[str] = set()  # strings that must not be logged
        self.policies = Policies(aws)
        self._quiet = quiet
        self._names: dict[str, str] = {}
        self._received = 0  # how many requests to CloudFront have been read
        self._seen_streams: set[str] = set()  # the log streams that have been read

    def deploy(self, parameters: dict[str, str]) -> None:
        """Deploys the stack for the first time."""
        self.outputs = self.aws.deploy(STACK, parameters)

    def update(self, parameters: dict[str, str]) -> None:
        """Updates the parameters of the deployed stack; first checks the calls that its policies had to allow."""
        self.policies.check()
        self.outputs = self.aws.update(STACK, parameters)

    def reset_standin(self) -> None:
        """Resets CloudFront: no invalidation is in progress, and no call counts against the rate."""
        self.aws.call_standin("/_standin/reset", {})
        self._received = 0

    def invoke(self, event: Json) -> None:
        """Invokes the function as CodePipeline and S3 do: asynchronously."""
        self.aws.client("lambda").invoke(
            FunctionName=self.outputs["FunctionName"], InvocationType="Event", Payload=json.dumps(event)
        )

    def upload(self, bucket: str, key: str) -> None:
        """Writes an object."""
        self.aws.client("s3").put_object(Bucket=bucket, Key=key, Body=b"<p>hello</p>")

    def notify(self, bucket: str, configuration: Json) -> None:
        """Replaces the notification configuration of a bucket."""
        self.aws.client("s3").put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration=configuration
        )

    def notify_function(self, bucket: str) -> None:
        """Makes the bucket's notifications invoke the function."""
        target = {"Id": "InvalidateCloudFront", "LambdaFunctionArn": self.outputs["FunctionArn"], "Events": EVENTS}
        self.notify(bucket, {"LambdaFunctionConfigurations": [target]})
        self.print_detail("events", ", ".join(EVENTS))

    def create_distribution(self, name: str, origin: Json, behavior: Json | None = None, root: str = "") -> str:
        """Creates a distribution with one origin; returns its id. The demo prints the name with each id."""
        created = self.aws.client("cloudfront").create_distribution(
            DistributionConfig={
                "CallerReference": name,
                "Comment": name,
                "Enabled": True,
                "DefaultRootObject": root,
                "Origins": {"Quantity": 1, "Items": [{"Id": "bucket", **origin}]},
                "DefaultCacheBehavior": {
                    "TargetOriginId": "bucket",
                    "ViewerProtocolPolicy": "redirect-to-https",
                    "CachePolicyId": "658327ea-f89d-4fab-a63d-7e88639e58f6",  # CachingOptimized, managed by AWS
                    **(behavior or {}),
                },
            }
        )
        distribution = created["Distribution"]["Id"]
        self.add_distribution(distribution, name, origin["DomainName"] + origin.get("OriginPath", ""))
        return distribution

    def add_distribution(self, distribution: str, name: str, location: str) -> None:
        """Prints a distribution that exists; the demo prints the name with each of its ids."""
        self._names[distribution] = name
        self.print_detail("distribution", f"{distribution}  {name}: {location}")

    def create_topic(self, name: str, bucket: str) -> str:
        """Creates a topic that the bucket is allowed to publish to; returns its ARN."""
        sns = self.aws.client("sns")
        topic: str = sns.create_topic(Name=name)["TopicArn"]
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": topic,
            "Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{bucket}"}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
        return topic

    def cloudfront_received(self, *expected: tuple[str, list[str]]) -> list[Json]:
        """Reads the new requests; requires these distributions and paths, and that all were accepted."""
        poll(lambda: len(self._requests()) >= self._received + len(expected), TIMEOUT)
        requests = self.new_requests()
        got = [(request["distribution"], sorted(request["paths"]), request["accepted"]) for request in requests]
        wanted = [(distribution, sorted(paths), True) for distribution, paths in expected]
        expect("requests to CloudFront", sorted(wanted), sorted(got))
        for request in requests:
            distribution = request["distribution"]
            paths = "  ".join(request["paths"])
            self.print_detail("CloudFront", f"{distribution}  {self._names[distribution]}: {paths}")
        return requests

    def cloudfront_received_nothing(self) -> None:
        """Requires that there is no new request."""
        expect("requests to CloudFront", [], self.new_requests())
        self.print_detail("CloudFront", "nothing")

    def new_requests(self) -> list[Json]:
        """Reads every CreateInvalidation since the last reading, rejected ones too."""
        requests = self._requests()
        new, self._received = requests[self._received :], len(requests)
        return new

    def function_logged(self, *parts: str) -> None:
        """Reads the log of one new invocation; requires these parts in its messages, and no warning."""
        lines = [line for line in self.new_invocations(1)[0] if line["level"] != "DEBUG"]
        expect("warnings and errors of the function", [], [line for line in lines if line["level"] != "INFO"])
        expect_in("messages of the function", parts, "\n".join(line["message"] for line in lines))
        for line in lines:
            self.print_detail("function", line["message"])

    def new_invocations(self, count: int) -> list[list[Json]]:
        """Waits for this number of new invocations and reads the log lines of each."""
        poll(lambda: len(self._unseen_streams()) >= count, TIMEOUT)
        invocations = self._unseen_streams()
        expect("number of invocations", count, len(invocations))
        self._seen_streams |= invocations.keys()
        return [lines_of_invocation(lines) for lines in invocations.values()]

    def take_failed(self, queue: str) -> Json:
        """Waits for the only message in the queue that is this output of the stack, and deletes it; returns the message.

        The other queue for failures must be empty: each source of failures has its own.
        """
        sqs, url = self.aws.client("sqs"), self.outputs[queue]
        messages = poll(lambda: sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"), TIMEOUT)
        if not messages:
            raise Mismatch(f"no message is in {queue} after {TIMEOUT:.0f} s")
        expect(f"number of messages in {queue}", 1, len(messages))
        sqs.delete_message(QueueUrl=url, ReceiptHandle=messages[0]["ReceiptHandle"])
        for other in FAILURE_QUEUES:
            received = sqs.receive_message(QueueUrl=self.outputs[other]).get("Messages", [])
            expect(f"other messages in {other}", [], received)
        return messages[0]

    def resources(self) -> dict[str, str]:
        """Returns the physical id of each resource of the stack."""
        pages = self.aws.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=STACK)
        resources = [resource for page in pages for resource in page["StackResourceSummaries"]]
        return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources}

    def alarms(self) -> dict[str, Json]:
        """Returns the description of each alarm of the stack, by the logical id."""
        pages = self.aws.client("cloudwatch").get_paginator("describe_alarms").paginate()
        alarms = {alarm["AlarmName"]: alarm for page in pages for alarm in page["MetricAlarms"]}
        return {name: alarms[physical] for name, physical in self.resources().items() if physical in alarms}

    def log(self, group: str = "LogGroupName") -> dict[str, list[str]]:
        """Returns all log lines of the log group that is this output of the stack, by log stream.

        MiniStack creates one stream for each invocation, at its end.
        """
        pages = self.aws.client("logs").get_paginator("filter_log_events")
        streams: dict[str, list[str]] = {}
        for page in pages.paginate(logGroupName=self.outputs[group]):
            for event in page["events"]:
                line = event["message"].strip()
                # MiniStack adds three lines to each invocation.
                if line and not line.startswith(("START ", "END ", "REPORT ")):
                    streams.setdefault(event["logStreamName"], []).append(line)
        return streams

    def print_detail(self, label: str, text: str) -> None:
        """Prints a detail of the step, unless the demo is quiet."""
        if not self._quiet:
            lines = textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
            print(textwrap.indent("\n".join(lines), INDENT).replace(INDENT, f"    {label:<13} ", 1), flush=True)

    def print_lines(self, text: str) -> None:
        """Prints the lines of a table as they are, unless the demo is quiet."""
        if not self._quiet:
            print(textwrap.indent(text.rstrip(), "    "), flush=True)

    def _requests(self) -> list[Json]:
        return self.aws.call_standin("/_standin/invalidations")

    def _unseen_streams(self) -> dict[str, list[str]]:
        return {stream: lines for stream, lines in self.log().items() if stream not in self._seen_streams}
