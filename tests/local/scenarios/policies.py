"""The policies of the functions' roles, as deployed, and whether they allow what the functions call.

Each call that the functions make must be allowed by exactly one statement: by none, and something is broken; by two, and
one of them is not needed. `Stack.update` checks the calls since the previous update, because an update changes policies.
Resource policies and conditions do not occur in these policies, so a statement is its actions and its resources.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from local_aws import LocalAws, LocalAwsError

from scenarios.calls import Call

STACK = "cloudfront-invalidator"

Json = dict[str, Any]


class Permission(NamedTuple):
    """An action that a policy of a role allows, and the logical id or the kind of its resource."""

    role: str
    action: str
    resource: str


class PolicyError(LocalAwsError):
    """Not exactly one statement allows a call, or has a permission."""


class Policies:
    """The policies of the roles of the deployed stack, and the calls that needed them."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self.used: dict[Permission, int] = {}  # how many calls needed each permission
        self.deployed: set[Permission] = set()  # all permissions that any update has deployed
        self.not_allowed: set[tuple[str, str, str]] = set()  # role, action and resource of calls without a permission

    def check(self) -> None:
        """Requires that each call since the last check is allowed by exactly one deployed statement, or by none."""
        calls = self._aws.calls.new_calls()
        resources = self._resources()
        roles = {name: physical for name, (kind, physical) in resources.items() if kind == "AWS::IAM::Role"}
        statements = {role: self.statements(physical) for role, physical in roles.items()}
        names = {physical: name for name, (_, physical) in resources.items()}
        for role, role_statements in statements.items():
            for statement in role_statements:
                self.deployed |= set(permissions(role, statement, names))
        keys = self._access_keys(roles)
        for call in calls:
            if role := keys.get(call.access_key):
                self._check(role, call, statements[role], names)

    def _check(self, role: str, call: Call, statements: list[Json], names: dict[str, str]) -> None:
        allowing = [statement for statement in statements if allows(statement, call.action, call.resource)]
        if len(allowing) > 1:
            raise PolicyError(f"{len(allowing)} statements of {role} allow {call.action} on {call.resource}: {allowing}")
        if not allowing:
            self.not_allowed.add((role, call.action, call.resource))
            return
        for resource in listed(allowing[0], "Resource"):
            if matches(call.resource, resource):
                permission = Permission(role, call.action, named(resource, names))
                self.used[permission] = self.used.get(permission, 0) + 1
                return

    def statements(self, role: str) -> list[Json]:
        """Returns the statements of all inline policies of a role."""
        return [statement for document in self.documents(role).values() for statement in document["Statement"]]

    def documents(self, role: str) -> dict[str, Json]:
        """Returns the inline policies of a role by their names."""
        iam = self._aws.client("iam")
        names = iam.list_role_policies(RoleName=role)["PolicyNames"]
        return {name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names}

    @contextmanager
    def without(self, permission: Permission) -> Iterator[None]:
        """Removes a permission from the only statement that has it, while the block runs."""
        iam, resources = self._aws.client("iam"), self._resources()
        role = resources[permission.role][1]
        names = {physical: name for name, (_, physical) in resources.items()}
        before = self.documents(role)
        removed = 0
        for name, document in before.items():
            statements = [reduced(statement, permission, names) for statement in document["Statement"]]
            if statements == document["Statement"]:
                continue
            removed += sum(new != old for new, old in zip(statements, document["Statement"], strict=True))
            if left := [statement for statement in statements if statement]:
                text = json.dumps(document | {"Statement": left})
                iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=text)
            else:
                iam.delete_role_policy(RoleName=role, PolicyName=name)
        try:
            if removed != 1:
                raise PolicyError(f"{removed} statements have {permission} instead of one")
            yield
        finally:
            for name, document in before.items():
                iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))

    def restart(self, *functions: str) -> None:
        """Makes the next invocation of these functions start a new process, which remembers nothing."""
        client, resources = self._aws.client("lambda"), self._resources()
        for function in functions:
            name = resources[function][1]
            variables = client.get_function_configuration(FunctionName=name)["Environment"]
            client.update_function_configuration(FunctionName=name, Environment=variables)

    def _resources(self) -> dict[str, tuple[str, str]]:
        """Returns type and physical id of each resource of the stack."""
        pages = self._aws.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=STACK)
        resources = [resource for page in pages for resource in page["StackResourceSummaries"]]
        return {
            resource["LogicalResourceId"]: (resource["ResourceType"], resource["PhysicalResourceId"])
            for resource in resources
        }

    def _access_keys(self, roles: dict[str, str]) -> dict[str, str]:
        """Returns the roles of the stack by the access keys of their functions, which MiniStack makes of both ARNs."""
        names = {physical: name for name, physical in roles.items()}
        keys = {}
        for page in self._aws.client("lambda").get_paginator("list_functions").paginate():
            for function in page["Functions"]:
                role = names.get(function["Role"].rpartition("/")[2])
                digest = hashlib.sha256(f"{function['FunctionArn']}:{function['Role']}".encode()).hexdigest()
                if role:
                    keys[f"ASIA{digest[:16].upper()}"] = role
        return keys


def listed(statement: Json, field: str) -> list[str]:
    """Returns the actions or resources of a statement, of which a single one can be without a list."""
    value = statement[field]
    return [value] if isinstance(value, str) else value


def matches(text: str, pattern: str) -> bool:
    """Returns whether a pattern of a policy matches a text: `*` stands for any characters, `?` for one."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, text, re.DOTALL) is not None


def allows(statement: Json, action: str, resource: str) -> bool:
    """Returns whether a statement allows an action on a resource. Actions are compared without regard to case."""
    is_action = any(matches(action.lower(), pattern.lower()) for pattern in listed(statement, "Action"))
    return (
        statement["Effect"] == "Allow"
        and is_action
        and any(matches(resource, pattern) for pattern in listed(statement, "Resource"))
    )


def named(resource: str, names: dict[str, str]) -> str:
    """Returns the logical id of a resource of the stack, or else its kind, such as `distribution`; or `*`."""
    end = resource.removesuffix(":*")
    for physical, name in names.items():
        # The physical id of a queue is its URL, that of a log group its name. Secrets Manager appends a suffix to names.
        last = physical if physical.startswith("/") else physical.rpartition("/")[2].rpartition(":")[2]
        if end.endswith(f":{last}") or re.search(f":{re.escape(last)}-[A-Za-z0-9]{{6}}$", end):
            return name
    return resource.rpartition(":")[2].split("/")[0]


def permissions(role: str, statement: Json, names: dict[str, str]) -> list[Permission]:
    """Returns the permissions of a statement."""
    resources = {named(resource, names) for resource in listed(statement, "Resource")}
    return [Permission(role, action, resource) for action in listed(statement, "Action") for resource in resources]


def reduced(statement: Json, permission: Permission, names: dict[str, str]) -> Json:
    """Returns a statement without a permission; an empty one if nothing else is left."""
    actions, resources = listed(statement, "Action"), listed(statement, "Resource")
    left = [resource for resource in resources if named(resource, names) != permission.resource]
    if permission.action not in actions or len(left) == len(resources):
        return statement
    if left and len(actions) == 1:
        return statement | {"Resource": left}
    others = [action for action in actions if action != permission.action]
    return statement | {"Action": others} if others else {}
