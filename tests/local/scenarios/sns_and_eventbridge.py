"""SNS and EventBridge invoke the function directly, without the queue.

The stack does not create this topic and this rule, so the scenario adds the permissions. The stack's own rule sends to
the queue.
"""

from __future__ import annotations

import json

from scenarios.shared_bucket import BUCKET, SharedBucket
from scenarios.stack import EVENTS, Stack, Step


class SnsAndEventBridge:
    """Changes that an SNS topic or an EventBridge rule sends to the function."""

    def __init__(self, stack: Stack, shared_bucket: SharedBucket) -> None:
        self._stack = stack
        self._shared_bucket = shared_bucket

    def steps(self) -> list[Step]:
        """Returns the steps in order."""
        return [
            ("Update the stack: it names no bucket, and the function subscribes to an SNS topic", self._subscribe),
            ("Upload live/sns.html: the topic invokes the function", self._upload_by_topic),
            ("Upload live/rule.html: an EventBridge rule invokes the function", self._upload_by_rule),
        ]

    def _subscribe(self) -> None:
        stack = self._stack
        stack.update({"DistributionId": "", "SourceBucket": ""})
        topic = stack.create_topic("function", BUCKET)
        self._permit("sns.amazonaws.com", topic)
        stack.aws.client("sns").subscribe(TopicArn=topic, Protocol="lambda", Endpoint=stack.outputs["FunctionArn"])
        stack.notify(BUCKET, {"TopicConfigurations": [{"TopicArn": topic, "Events": EVENTS}]})
        stack.function_logged("nothing")  # the test event by which S3 checks its permission

    def _upload_by_topic(self) -> None:
        self._upload("sns")

    def _upload_by_rule(self) -> None:
        stack = self._stack
        events = stack.aws.client("events")
        pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [BUCKET]}}}
        rule = events.put_rule(Name="function", EventPattern=json.dumps(pattern))["RuleArn"]
        self._permit("events.amazonaws.com", rule)
        events.put_targets(Rule="function", Targets=[{"Id": "Function", "Arn": stack.outputs["FunctionArn"]}])
        stack.notify(BUCKET, {"EventBridgeConfiguration": {}})
        self._upload("rule")

    def _upload(self, name: str) -> None:
        live = self._shared_bucket.distributions["live"]
        self._stack.upload(BUCKET, f"live/{name}.html")
        self._stack.cloudfront_received((live, [f"/{name}", f"/{name}.html"]))
        self._stack.function_logged(live, f"live/{name}.html")

    def _permit(self, service: str, source: str) -> None:
        """Allows a topic or a rule to invoke the function."""
        self._stack.aws.client("lambda").add_permission(
            FunctionName=self._stack.outputs["FunctionName"],
            StatementId=service.partition(".")[0],
            Action="lambda:InvokeFunction",
            Principal=service,
            SourceArn=source,
        )
