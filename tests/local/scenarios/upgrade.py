"""An update from the template of the previous release loses nothing.

The previous template is deployed as a stack of its own, with messages in its queues and Slack switched on, and then
updated to the present one. Both have the same binary, because the test is about the template.
"""

from __future__ import annotations

import json
import re
from typing import Any

import yaml
from local_aws import PROJECT, REGION, poll

from scenarios.stack import STACK, TIMEOUT, Json, Stack, Step, expect, expect_in

PREVIOUS = PROJECT / "tests/local/previous-template.yaml"
PRESENT = PROJECT / "template.yaml"
CHANGELOG = PROJECT / "CHANGELOG.md"
NAME = "upgraded"
BUCKET = "example-upgrade"

PARAMETERS = {
    "DistributionId": "E2EXAMPLE1ABCD",
    "SourceBucket": BUCKET,
    "BatchingWindow": "30",
    "SlackSigningSecret": "0" * 32,
    "SlackWebhookUrl": "https://hooks.slack.com/services/T0/B0/x",
    "SlackAnnouncements": "failures",
}

# Outputs of the queues, with messages that wait there. Lambda sent the last one, an event that failed three times.
MESSAGES = {
    "QueueUrl": ['{"waits": "in the queue"}'],
    "DeadLetterQueueUrl": [
        '{"received": "ten times"}',
        '{"requestContext": {"condition": "RetriesExhausted"}, "requestPayload": {"failed": "three times"}}',
    ],
    "SlackQueueUrl": ['{"slackTask": {"waits": "in the queue"}}'],
    "SlackDeadLetterQueueUrl": ['{"slackTask": {"failed": "after the reply"}}'],
}

# Logical ids, parameters and outputs that the previous release had and this one has not, with the words of CHANGELOG.md.
REMOVED: dict[str, str] = {"DeadLetterQueuePolicy": "`DeadLetterQueuePolicy` is deleted"}
