"""What the parts of the story share: the deployed stack, what it did, and how that is told and checked.

A step acts on the stack from outside, as a person or a service would, then takes what came of it: the requests that
CloudFront received, and the log of each invocation. Both are taken once, so that a step sees only its own, and an
effect that no step expected is found by the next.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from cloud import Cloud, poll

STACK = "cloudfront-invalidator"
REPLY_DEADLINE = 20.0  # seconds; an answer takes well under one on an idle machine
NOTIFIED = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:LifecycleExpiration:*"]
INDENT = " " * 18
WIDTH = 96

Json = dict[str, Any]
Step = tuple[str, Callable[[], None]]


class Part(Protocol):
    """Some steps that belong together."""

    def steps(self) -> list[Step]:
        """Gives the steps in order."""


class Mismatch(Exception):
    """Something else happened than the story says."""


def expect(what: str, expected: object, got: object) -> None:
    """Ends the story unless both are equal."""
    if got != expected:
        raise Mismatch(f"{what}\n  expected  {expected!r}\n  got       {got!r}")


def expect_in(what: str, parts: Iterable[str], text: str) -> None:
    """Ends the story unless the text holds every part."""
    for part in parts:
        if part not in text:
            raise Mismatch(f"{what}\n  expected  a text with {part!r}\n  got       {text!r}")


class Stage:
    """The local AWS with the stack in it; `outputs` are those of the stack as it was deployed last."""

    def __init__(self, cloud: Cloud, quiet: bool) -> None:
        self.cloud = cloud
        self.outputs: dict[str, str] = {}
        self.secrets: set[str] = set()  # what must not be logged
        self._quiet = quiet
        self._names: dict[str, str] = {}
        self._received = 0  # how many requests to CloudFront have been taken
        self._heard: set[str] = set()  # the log streams that have been taken

    def deploy(self, parameters: dict[str, str]) -> None:
        """Deploys the stack for the first time."""
        self.outputs = self.cloud.deploy(STACK, parameters)

    def change(self, parameters: dict[str, str]) -> None:
        """Deploys the same template with other parameters."""
        self.outputs = self.cloud.change(STACK, parameters)

    def rest(self) -> None:
        """Begins a part with a CloudFront that has nothing in progress and its whole rate of calls."""
        self.cloud.ask_standin("/_standin/reset", {})
        self._received = 0

    def invoke(self, event: Json) -> None:
        """Invokes the function as CodePipeline and S3 do: asynchronously."""
        self.cloud.client("lambda").invoke(
            FunctionName=self.outputs["FunctionName"], InvocationType="Event", Payload=json.dumps(event)
        )

    def upload(self, bucket: str, key: str) -> None:
        """Writes an object."""
        self.cloud.client("s3").put_object(Bucket=bucket, Key=key, Body=b"<p>hello</p>")

    def notify(self, bucket: str, configuration: Json) -> None:
        """Replaces all notifications of a bucket."""
        self.cloud.client("s3").put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration=configuration
        )

    def notify_function(self, bucket: str) -> None:
        """Makes the bucket's notifications invoke the function."""
        target = {"Id": "InvalidateCloudFront", "LambdaFunctionArn": self.outputs["FunctionArn"], "Events": NOTIFIED}
        self.notify(bucket, {"LambdaFunctionConfigurations": [target]})
        self.say("asked", ", ".join(NOTIFIED))

    def create_distribution(self, name: str, origin: Json, behavior: Json | None = None, root: str = "") -> str:
        """Creates a distribution with one origin; the story calls it by its name and its id, which is returned."""
        created = self.cloud.client("cloudfront").create_distribution(
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
        self._names[distribution] = name
        self.say("distribution", f"{distribution}  {name}: {origin['DomainName']}{origin.get('OriginPath', '')}")
        return distribution

    def create_topic(self, name: str, bucket: str) -> str:
        """Creates a topic to which the bucket may publish; gives its ARN."""
        sns = self.cloud.client("sns")
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
        """Takes the requests of one effect, and requires these distributions and paths, all of them accepted."""
        poll(lambda: len(self._requests()) >= self._received + len(expected), REPLY_DEADLINE)
        requests = self.take_requests()
        got = [(each["distribution"], sorted(each["paths"]), each["accepted"]) for each in requests]
        wanted = [(distribution, sorted(paths), True) for distribution, paths in expected]
        expect("requests to CloudFront", sorted(wanted), sorted(got))
        for each in requests:
            distribution = each["distribution"]
            self.say("CloudFront", f"{distribution}  {self._names[distribution]}: {'  '.join(each['paths'])}")
        return requests

    def cloudfront_received_nothing(self) -> None:
        """Requires that no request came since the last look."""
        expect("requests to CloudFront", [], self.take_requests())
        self.say("CloudFront", "nothing")

    def take_requests(self) -> list[Json]:
        """Gives every CreateInvalidation since the last look, refused ones too."""
        requests = self._requests()
        new, self._received = requests[self._received :], len(requests)
        return new

    def function_said(self, *parts: str) -> None:
        """Takes one invocation, and requires these parts in what it logged for a person to read."""
        lines = [line for line in self.take_invocations(1)[0] if line["level"] != "DEBUG"]
        expect("warnings and errors of the function", [], [line for line in lines if line["level"] != "INFO"])
        expect_in("messages of the function", parts, "\n".join(line["message"] for line in lines))
        for line in lines:
            self.say("function", line["message"])

    def take_invocations(self, count: int) -> list[list[Json]]:
        """Gives the log lines of each invocation since the last look; there are so many of them, or soon will be."""
        poll(lambda: len(self._new_invocations()) >= count, REPLY_DEADLINE)
        invocations = self._new_invocations()
        expect("number of invocations", count, len(invocations))
        self._heard |= invocations.keys()
        return [[json.loads(line) for line in lines] for lines in invocations.values()]

    def log(self) -> dict[str, list[str]]:
        """Gives all that the function wrote, by log stream: MiniStack has one for each invocation, made at its end."""
        pages = self.cloud.client("logs").get_paginator("filter_log_events")
        streams: dict[str, list[str]] = {}
        for page in pages.paginate(logGroupName=self.outputs["LogGroupName"]):
            for event in page["events"]:
                line = event["message"].strip()
                # MiniStack puts three lines of its own around an invocation.
                if line and not line.startswith(("START ", "END ", "REPORT ")):
                    streams.setdefault(event["logStreamName"], []).append(line)
        return streams

    def say(self, label: str, text: str) -> None:
        """Prints a detail of the step, unless only the steps are asked for."""
        if not self._quiet:
            lines = textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
            print(textwrap.indent("\n".join(lines), INDENT).replace(INDENT, f"    {label:<13} ", 1), flush=True)

    def _requests(self) -> list[Json]:
        return self.cloud.ask_standin("/_standin/invalidations")

    def _new_invocations(self) -> dict[str, list[str]]:
        return {stream: lines for stream, lines in self.log().items() if stream not in self._heard}
