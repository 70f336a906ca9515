"""Checks examples of callers that invoke the function directly: their events, and the definitions of state machines.

cfn-lint checks the structure of a state machine. It checks neither the targets of transitions nor the names of errors.
Each function yields the problems that it finds, as text.
"""

import json
import re
from pathlib import Path

from jsonschema import Draft202012Validator

ROOT = Path(__file__).resolve().parents[2]

NAMES = {"type": ["string", "array"], "minLength": 1, "minItems": 1, "items": {"type": "string", "minLength": 1}}
LABEL = {"type": "string", "minLength": 1, "maxLength": 256}
OPTIONS = {
    "distribution": NAMES,
    "wait": {"type": ["boolean", "integer", "string"]},
    "onTimeout": {"enum": ["succeed", "fail"]},
    "verify": {**NAMES, "type": ["boolean", "string", "array"]},
    "onStale": {"enum": ["succeed", "fail"]},
    "reference": LABEL,
    "idempotencyKey": LABEL,
    "requestedBy": LABEL,
}
# The events by the field that selects one.
EVENTS = {
    "invalidation": {"invalidation": LABEL, "distribution": NAMES, "requestedBy": LABEL},
    "keys": {"keys": NAMES, "bucket": LABEL, **OPTIONS},
    "paths": {"paths": NAMES, **OPTIONS},
}
REQUIRED = {"invalidation": ["invalidation"], "keys": ["keys", "bucket"], "paths": ["paths"]}

# Errors of a Lambda task that AWS names.
# https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-lambda-serviceexception
LAMBDA_ERRORS = {
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
}
# https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
STATES_ERRORS = {"States.ALL", "States.Permissions", "States.TaskFailed", "States.Timeout"}


def categories():
    """Returns the names that the function's errors have for Lambda, its `errorType`."""
    source = (ROOT / "src/error.rs").read_text()
    body = re.search(r"fn as_str\(self\) -> &'static str \{(.*?)\n    }", source, re.DOTALL)[1]
    return set(re.findall(r'=> "(\w+)"', body))


def field_problems():
    """Compares the fields of this module with those that the function reads."""
    source = (ROOT / "src/trigger/direct.rs").read_text()
    read = set(re.findall(r'"(\w+)"', re.search(r"const FIELDS:[^;]*;[^;]*;", source)[0]))
    known = set().union(*EVENTS.values())
    for name in sorted(read ^ known):
        yield f"{name} is a field of {'the function' if name in read else 'tests/docs/callers.py'} only"


def event_problems(event):
    """Checks an event of direct invocation, whose values can be JSONata expressions."""
    if isinstance(event, str) and is_jsonata(event):
        # The input of the execution, with these fields added.
        event = {"paths": event} | {name: event for name in re.findall(r"'(\w+)'\s*:", event)}
    if not isinstance(event, dict):
        yield f"the event is not an object: {event!r}"
        return
    marker = next((name for name in EVENTS if event.get(name) is not None), None)
    if marker is None:
        yield f"the event has none of {', '.join(EVENTS)}"
        return
    schema = {"properties": EVENTS[marker], "required": REQUIRED[marker], "additionalProperties": False}
    for error in Draft202012Validator(schema).iter_errors(event):
        if not is_jsonata(error.instance):
            yield f"the event: {'.'.join(map(str, error.path)) or marker}: {error.message}"


def is_jsonata(value):
    return isinstance(value, str) and value.startswith("{%") and value.endswith("%}")


def template_events(template):
    """Yields each resource of a CloudFormation template that invokes the function, and its event as JSON."""
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Scheduler::Schedule":
            yield name, properties["Target"]["Input"]
        elif resource["Type"] == "AWS::StepFunctions::StateMachine":
            yield from state_machine_events(name, properties["Definition"])


def state_machine_events(name, machine):
    for state in machine["States"].values():
        if ":lambda:invoke" in str(state.get("Resource")):
            yield name, json.dumps(state["Arguments"].get("Payload"))
        if "ItemProcessor" in state:
            yield from state_machine_events(name, state["ItemProcessor"])


def state_machine_problems(machine):
    """Checks the transitions and errors of a state machine, and of those in its Map states."""
    states = machine["States"]
    targets = {machine["StartAt"]}
    for name, state in states.items():
        transitions = [state, *state.get("Choices", ()), *state.get("Catch", ())]
        targets |= {item[key] for item in transitions for key in ("Next", "Default") if key in item}
        for handler in (*state.get("Retry", ()), *state.get("Catch", ())):
            for error in sorted(set(handler["ErrorEquals"]) - LAMBDA_ERRORS - STATES_ERRORS - categories()):
                yield f"{name}: no error has the name {error}"
        if "ItemProcessor" in state:
            yield from state_machine_problems(state["ItemProcessor"])
    for name in sorted(targets - set(states)):
        yield f"there is no state {name}"
    for name in sorted(set(states) - targets):
        yield f"no transition leads to {name}"
