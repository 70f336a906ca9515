"""Expands a template of SAM to plain CloudFormation, as AWS does when it creates a change set."""

from __future__ import annotations

from typing import Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse


def expand(template: str) -> dict[str, Any]:
    """Returns the template with the resources of all conditions. The code of each function must be in a bucket."""
    # The map of managed policies is empty, because no function of this project names a policy.
    session = boto3.Session(region_name="us-east-1")
    return Translator({}, Parser(), boto_session=session).translate(yaml_parse(template), {})
