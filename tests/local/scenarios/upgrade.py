"""An update from the template of the previous release loses nothing.

The previous template is deployed as a stack of its own, with Slack and with messages in its queues, and then updated to the
present one. Both have the same binary, because this is about the template. The event source mappings are disabled, so that
the messages stay.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from local_aws import PROJECT
from samtranslator.yaml_helper import yaml_parse

from scenarios.stack import STACK, Json, Mismatch, Stack, Step, expect

PREVIOUS = PROJECT / "tests/local/previous-template.yaml"
PRESENT = PROJECT / "template.yaml"
CHANGELOG = PROJECT / "CHANGELOG.md"
NAME = "upgraded"
ARTIFACTS = "example-artifacts"

PARAMETERS = {
    "DistributionId": "E2EXAMPLE1ABCD",
    "SourceBucket": "example-upgrade",
    "BatchingWindow": "30",
    "SlackSigningSecret": "0" * 32,
    "SlackWebhookUrl": "https://hooks.slack.com/services/T0/B0/x",
    "SlackAnnouncements": "failures",
}

# Outputs of the queues, with messages that wait there. Lambda has sent the last dead letter: an event that failed three
# times. It stays where it is, and `cf-invalidate replay` reads it.
MESSAGES = {
    "QueueUrl": ['{"waits": "in the queue"}'],
    "DeadLetterQueueUrl": [
        '{"received": "ten times"}',
        '{"requestContext": {"condition": "RetriesExhausted"}, "requestPayload": {"failed": "three times"}}',
    ],
    "SlackQueueUrl": ['{"slackTask": {"waits": "in the queue"}}'],
    "SlackDeadLetterQueueUrl": ['{"slackTask": {"failed": "after the reply"}}'],
}

# What the previous release had and this one has not, with the words of CHANGELOG.md.
REMOVED = {"resource DeadLetterQueuePolicy": "`DeadLetterQueuePolicy` is deleted"}


class Upgrade:
    """Deploys the previous release, fills its queues, and updates it."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._outputs: dict[str, str] = {}
        self._names: dict[str, str] = {}  # of what the previous release has, with its value

    def steps(self) -> list[Step]:
        """Returns the steps in order."""
        return [
            ("Upgrade: deploy the previous release, with messages in its queues", self._deploy_previous),
            ("Upgrade: the update to this release keeps the messages, ids, parameters and outputs", self._update),
        ]

    def _deploy_previous(self) -> None:
        self._client("s3").create_bucket(Bucket=ARTIFACTS)
        parameters = [{"ParameterKey": name, "ParameterValue": value} for name, value in PARAMETERS.items()]
        arguments = self._template(PREVIOUS) | {"Parameters": parameters}
        self._client("cloudformation").create_stack(StackName=NAME, **arguments)
        self._outputs = self._stack.aws.finished(NAME, "CREATE_COMPLETE")
        self._names = self._read_names()
        for mapping in self._mappings():
            self._client("lambda").update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        for output, bodies in MESSAGES.items():
            for body in bodies:
                self._client("sqs").send_message(QueueUrl=self._outputs[output], MessageBody=body)

    def _update(self) -> None:
        # Parameters that are not named keep their values, as with `sam deploy`; new ones get their defaults.
        kept = [{"ParameterKey": name, "UsePreviousValue": True} for name in PARAMETERS]
        # The tag is a change even if both templates are the same, right after a release.
        arguments = self._template(PRESENT) | {"Parameters": kept, "Tags": [{"Key": "release", "Value": "present"}]}
        self._client("cloudformation").update_stack(StackName=NAME, **arguments)
        outputs = self._stack.aws.finished(NAME, "UPDATE_COMPLETE")
        names = self._read_names()
        removed = self._names.keys() - names.keys()
        expect("what is removed without a line in CHANGELOG.md", [], sorted(removed - REMOVED.keys()))
        words = " ".join(CHANGELOG.read_text(encoding="utf-8").split())
        missing = [REMOVED[name] for name in removed if REMOVED[name] not in words]
        expect("words about removals that CHANGELOG.md does not have", [], missing)
        changed = [name for name in self._names.keys() & names.keys() if self._names[name] != names[name]]
        expect("ids, parameters and outputs with another value", [], sorted(changed))
        messages = {output: self._receive(outputs[output], len(bodies)) for output, bodies in MESSAGES.items()}
        expect("messages", {output: sorted(bodies) for output, bodies in MESSAGES.items()}, messages)
        added = sorted(names.keys() - self._names.keys())
        self._stack.print_detail("kept", f"{len(self._names) - len(removed)} ids, parameters and outputs; all messages")
        self._stack.print_detail("removed", ", ".join(sorted(removed)) or "nothing")
        self._stack.print_detail("added", ", ".join(added) or "nothing")

    def _template(self, path: Path) -> Json:
        """Uploads a template with the code of the deployed stack; returns the arguments that name it."""
        deployed = self._client("cloudformation").get_template(StackName=STACK, TemplateStage="Original")["TemplateBody"]
        text = deployed if isinstance(deployed, str) else json.dumps(deployed)
        code = re.search(r's3://[^\s"\']+', text)
        if not code:
            raise Mismatch("the template of the deployed stack names no code")
        text = path.read_text(encoding="utf-8").replace("CodeUri: .\n", f"CodeUri: {code[0]}\n")
        # As `sam deploy` does: MiniStack does not read the short form of all functions, such as `!Contains`.
        body = json.dumps(yaml_parse(text)).encode()
        self._client("s3").put_object(Bucket=ARTIFACTS, Key=path.name, Body=body)
        return {
            "TemplateURL": f"{self._stack.aws.endpoint}/{ARTIFACTS}/{path.name}",
            "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        }

    def _read_names(self) -> dict[str, str]:
        """Returns the physical ids of the resources, and the values of the parameters and outputs, by kind and name."""
        cloudformation = self._client("cloudformation")
        stack = cloudformation.describe_stacks(StackName=NAME)["Stacks"][0]
        pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=NAME)
        resources = [resource for page in pages for resource in page["StackResourceSummaries"]]
        return {
            **{f"resource {item['LogicalResourceId']}": item["PhysicalResourceId"] for item in resources},
            **{f"parameter {item['ParameterKey']}": item["ParameterValue"] for item in stack["Parameters"]},
            **{f"output {item['OutputKey']}": item["OutputValue"] for item in stack["Outputs"]},
        }

    def _mappings(self) -> list[Json]:
        """Returns the event source mappings of the stack."""
        ids = set(self._names.values())
        found = self._client("lambda").list_event_source_mappings()["EventSourceMappings"]
        return [mapping for mapping in found if mapping["UUID"] in ids]

    def _receive(self, queue: str, count: int) -> list[str]:
        """Receives the messages of a queue, and one more if there is one."""
        sqs, bodies = self._client("sqs"), []
        while len(bodies) <= count:
            messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
            if not messages:
                break
            bodies += [message["Body"] for message in messages]
        return sorted(bodies)

    def _client(self, service: str) -> Any:
        return self._stack.aws.client(service)
