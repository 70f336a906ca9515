"""The resources of commands in Slack, which exist only if the stack has a signing secret."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from scenarios.operations import described, summary
from scenarios.slack_requests import SlackApp
from scenarios.stack import Mismatch, Scenario, Stack, Step, expect, expect_in

SETTINGS = {"SlackDistributions": "E2EXAMPLE1ABCD,E3EXAMPLE1ABCD", "SlackSiteNames": "shop,blog"}

# What a user of `sam deploy --guided` enters, who does not use Slack.
UNUSED = {"SlackSigningSecret": "none", "SlackWebhookUrl": "none"}

# Parameters that CloudFormation refuses before it changes a resource, with a part of the message.
REFUSED = [
    ({"SlackSigningSecret": "0" * 32, "SlackSecretName": "slack"}, "only one of SlackSigningSecret, SlackSecretName"),
    ({"SlackWebhookUrl": "https://hooks.slack.com/services/T0/B0/x"}, "SlackWebhookUrl needs SlackSigningSecret"),
    ({"SlackSigningSecret": "0" * 32, "SlackAnnouncements": "all"}, "SlackAnnouncements needs SlackWebhookUrl"),
    ({"SlackWebhookUrl": "https://example.com/services/T0/B0/x"}, "must be none, or a URL such as https://hooks.slack"),
    ({"SlackChannels": "#web"}, "must be empty, or ids such as C0123456789"),
]


class SlackStack:
    """Sets and removes the signing secret of the deployed stack; in between, other scenarios use it."""

    def __init__(self, stack: Stack, app: SlackApp, between: list[Scenario]) -> None:
        self._stack = stack
        self._app = app
        self._between = between
        self._resources_before: dict[str, str] = {}
        self._outputs_before: dict[str, str] = {}

    def steps(self) -> list[Step]:
        """Returns the steps in order."""
        return [
            ("Slack: without a signing secret, the stack has no resource for it", self._without),
            ("Slack: a signing secret creates the function URL, the queues and the secret", self._switch_on),
            ("Slack: parameters that contradict each other are refused", self._refuse),
            *(step for scenario in self._between for step in scenario.steps()),
            ("Slack: without the signing secret, the stack is as before", self._switch_off),
        ]

    def _without(self) -> None:
        self._stack.update(UNUSED)
        self._resources_before, self._outputs_before = self._stack.resources(), self._stack.outputs
        slack = [name for name in [*self._resources_before, *self._outputs_before] if name.startswith("Slack")]
        expect("resources and outputs for Slack", [], slack)

    def _switch_on(self) -> None:
        self._stack.update(self._app.parameters() | SETTINGS)
        resources, outputs = self._stack.resources(), self._stack.outputs
        expect("the other resources", self._resources_before, common(resources, self._resources_before))
        expect("the other outputs", self._outputs_before, common(outputs, self._outputs_before))
        secret = self._client("secretsmanager").get_secret_value(SecretId=resources["SlackSecret"])["SecretString"]
        signing_secrets = ",".join(self._app.signing_secrets)
        expected = {"signing_secrets": signing_secrets, "webhook_url": self._app.webhook_url}
        expect("the secret", expected, json.loads(secret))
        url = self._client("lambda").get_function_url_config(FunctionName=resources["SlackFunction"])
        expect("the function URL", (outputs["SlackRequestUrl"], "NONE"), (url["FunctionUrl"], url["AuthType"]))
        mapping = self._mapping(resources["SlackQueueFunction"])
        expect("the batch size", 1, mapping["BatchSize"])
        expect("the response types", ["ReportBatchItemFailures"], mapping["FunctionResponseTypes"])
        expect("the allowed distributions", SETTINGS["SlackDistributions"], self._allowed(resources["SlackRole"]))
        alarm = self._stack.alarms()["SlackDeadLetterQueueAlarm"]
        expect("the alarm", described("SlackDeadLetterQueueAlarm", self._stack.resources()), summary(alarm))
        self._stack.print_detail("resources", ", ".join(sorted(resources.keys() - self._resources_before.keys())))

    def _refuse(self) -> None:
        for parameters, message in REFUSED:
            try:
                self._stack.update(parameters)
            except ClientError as error:
                expect_in("the message", [message], str(error))
                self._stack.print_detail("refused", f"{', '.join(parameters)}: {message} ...")
            else:
                raise Mismatch(f"{parameters} are not refused")

    def _switch_off(self) -> None:
        self._stack.update(UNUSED)
        expect("resources", self._resources_before, self._stack.resources())
        expect("outputs", self._outputs_before, self._stack.outputs)

    def _mapping(self, function: str) -> Any:
        return self._client("lambda").list_event_source_mappings(FunctionName=function)["EventSourceMappings"][0]

    def _allowed(self, role: str) -> str:
        """Returns the ids of the distributions that the role can invalidate, separated by commas."""
        policy = self._client("iam").get_role_policy(RoleName=role, PolicyName="Invalidate")["PolicyDocument"]
        return ",".join(sorted({resource.rpartition("/")[2] for resource in policy["Statement"][0]["Resource"]}))

    def _client(self, service: str) -> Any:
        return self._stack.aws.client(service)


def common(values: dict[str, str], names: dict[str, str]) -> dict[str, str]:
    """Returns the values whose names are in both."""
    return {name: value for name, value in values.items() if name in names}
