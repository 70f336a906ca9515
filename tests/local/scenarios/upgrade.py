"""An update from the template of the previous release loses nothing, and neither does a change of the way to deploy.

The previous template is deployed as a stack of its own, with Slack and with messages in its queues, and then updated to the
present one. Then the function comes from a bucket, and from an upload again. All have the same binary, because this is
about the templates. The event source mappings are disabled, so that the messages stay.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from local_aws import PROJECT
from samtranslator.yaml_helper import yaml_parse

from scenarios.stack import STACK, Json, Mismatch, Stack, Step, expect, expect_in

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
            ("Upgrade: with the function in a bucket, all stays; the key of another version is refused", self._use_bucket),
            ("Upgrade: with an uploaded function again, all stays", self._use_upload),
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
        # The tag is a change even if both templates are the same, right after a release.
        names = self._update_stack(self._template(PRESENT) | {"Tags": [{"Key": "release", "Value": "present"}]})
        removed = self._names.keys() - names.keys()
        expect("what is removed without a line in CHANGELOG.md", [], sorted(removed - REMOVED.keys()))
        words = " ".join(CHANGELOG.read_text(encoding="utf-8").split())
        missing = [REMOVED[name] for name in removed if REMOVED[name] not in words]
        expect("words about removals that CHANGELOG.md does not have", [], missing)
        changed = [name for name in self._names.keys() & names.keys() if self._names[name] != names[name]]
        expect("ids, parameters and outputs with another value", [], sorted(changed))
        self._check_messages()
        added = sorted(names.keys() - self._names.keys())
        self._stack.print_detail("kept", f"{len(self._names) - len(removed)} ids, parameters and outputs; all messages")
        self._stack.print_detail("removed", ", ".join(sorted(removed)) or "nothing")
        self._stack.print_detail("added", ", ".join(added) or "nothing")
        self._names = names

    def _use_bucket(self) -> None:
        text = (self._stack.aws.stack_folder("bucket") / "template-s3.yaml").read_text(encoding="utf-8")
        key = yaml_parse(text)["Parameters"]["CodeKey"]["Default"]
        source = dict(zip(("Bucket", "Key"), self._code().removeprefix("s3://").split("/", 1), strict=True))
        self._client("s3").copy_object(Bucket=ARTIFACTS, Key=key, CopySource=source)
        arguments = self._upload("template-s3.yaml", text)
        bucket = {"ParameterKey": "CodeBucket", "ParameterValue": ARTIFACTS}
        folder, _version, file = key.split("/")
        other = {"ParameterKey": "CodeKey", "ParameterValue": f"{folder}/0.0.0/{file}"}
        try:
            self._update_stack(arguments, bucket, other)
        except ClientError as error:
            expect_in("the refusal of another version", ["CodeKey", "must end with"], str(error))
        else:
            raise Mismatch(f"the key {other['ParameterValue']} of another version is accepted")
        names = self._update_stack(arguments, bucket)
        code = {"parameter CodeBucket": ARTIFACTS, "parameter CodeKey": key}
        expect("ids, parameters and outputs", self._names | code, names)
        self._check_messages()
        self._stack.print_detail("code", f"s3://{ARTIFACTS}/{key}")

    def _use_upload(self) -> None:
        expect("ids, parameters and outputs", self._names, self._update_stack(self._template(PRESENT)))
        self._check_messages()

    def _update_stack(self, arguments: Json, *parameters: Json) -> dict[str, str]:
        """Updates the stack, and returns what it has then.

        Parameters that are not named keep their values, as with `sam deploy`; new ones get their defaults.
        """
        kept = [{"ParameterKey": name, "UsePreviousValue": True} for name in PARAMETERS]
        cloudformation = self._client("cloudformation")
        cloudformation.update_stack(StackName=NAME, Parameters=[*kept, *parameters], **arguments)
        self._outputs = self._stack.aws.finished(NAME, "UPDATE_COMPLETE")
        return self._read_names()

    def _check_messages(self) -> None:
        messages = {output: self._receive(self._outputs[output]) for output in MESSAGES}
        expect("messages", {output: sorted(bodies) for output, bodies in MESSAGES.items()}, messages)

    def _code(self) -> str:
        """Returns the URL of the code of the deployed stack."""
        deployed = self._client("cloudformation").get_template(StackName=STACK, TemplateStage="Original")["TemplateBody"]
        text = deployed if isinstance(deployed, str) else json.dumps(deployed)
        code = re.search(r's3://[^\s"\']+', text)
        if not code:
            raise Mismatch("the template of the deployed stack names no code")
        return code[0]

    def _template(self, path: Path) -> Json:
        """Uploads a template with the code of the deployed stack; returns the arguments that name it."""
        text = path.read_text(encoding="utf-8").replace("CodeUri: .\n", f"CodeUri: {self._code()}\n")
        # As JSON, as `sam deploy` does: MiniStack does not read `!Contains`, which the previous template has.
        return self._upload(path.name, json.dumps(yaml_parse(text)))

    def _upload(self, key: str, template: str) -> Json:
        """Uploads a template; returns the arguments that name it."""
        self._client("s3").put_object(Bucket=ARTIFACTS, Key=key, Body=template.encode())
        return {
            "TemplateURL": f"{self._stack.aws.endpoint}/{ARTIFACTS}/{key}",
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

    def _receive(self, queue: str) -> list[str]:
        """Returns the messages of a queue, in which they stay."""
        sqs, bodies = self._client("sqs"), {}
        while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=0).get("Messages"):
            known = len(bodies)
            bodies |= {message["MessageId"]: message["Body"] for message in messages}
            if len(bodies) == known:
                break
        return sorted(bodies.values())

    def _client(self, service: str) -> Any:
        return self._stack.aws.client(service)
