"""What others pass on to the function: a topic that it subscribes to, and a rule of EventBridge.

The stack knows neither, so the permissions are given by hand. Its own rule leads to the queue.
"""

from __future__ import annotations

import json

from story.discovery import BUCKET, Discovery
from story.stage import NOTIFIED, Stage, Step


class Relays:
    """The same changes in other envelopes, without the queue."""

    def __init__(self, stage: Stage, discovery: Discovery) -> None:
        self._stage = stage
        self._discovery = discovery

    def steps(self) -> list[Step]:
        """Gives the steps in order."""
        return [
            ("The stack is changed, and names no bucket; the function subscribes to a topic", self._subscribe),
            ("Uploaded: live/sns.html, which comes from the topic", self._upload_by_topic),
            ("Uploaded: live/rule.html, which comes from an EventBridge rule", self._upload_by_rule),
        ]

    def _subscribe(self) -> None:
        stage = self._stage
        stage.change({"DistributionId": "", "SourceBucket": ""})
        topic = stage.create_topic("function", BUCKET)
        self._permit("sns.amazonaws.com", topic)
        stage.cloud.client("sns").subscribe(TopicArn=topic, Protocol="lambda", Endpoint=stage.outputs["FunctionArn"])
        stage.notify(BUCKET, {"TopicConfigurations": [{"TopicArn": topic, "Events": NOTIFIED}]})
        stage.function_said("nothing")  # S3 makes sure that it may publish

    def _upload_by_topic(self) -> None:
        self._upload("sns")

    def _upload_by_rule(self) -> None:
        stage = self._stage
        events = stage.cloud.client("events")
        pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [BUCKET]}}}
        rule = events.put_rule(Name="function", EventPattern=json.dumps(pattern))["RuleArn"]
        self._permit("events.amazonaws.com", rule)
        events.put_targets(Rule="function", Targets=[{"Id": "Function", "Arn": stage.outputs["FunctionArn"]}])
        stage.notify(BUCKET, {"EventBridgeConfiguration": {}})
        self._upload("rule")

    def _upload(self, name: str) -> None:
        live = self._discovery.distributions["live"]
        self._stage.upload(BUCKET, f"live/{name}.html")
        self._stage.cloudfront_received((live, [f"/{name}", f"/{name}.html"]))
        self._stage.function_said(live, f"live/{name}.html")

    def _permit(self, service: str, source: str) -> None:
        """Lets a topic or a rule invoke the function."""
        self._stage.cloud.client("lambda").add_permission(
            FunctionName=self._stage.outputs["FunctionName"],
            StatementId=service.partition(".")[0],
            Action="lambda:InvokeFunction",
            Principal=service,
            SourceArn=source,
        )
