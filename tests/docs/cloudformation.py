"""Resolves the values of template.yaml with parameters, as CloudFormation does: `Ref`, `Fn::GetAtt`, `Fn::Sub`, `Fn::If`
and conditions. A resource that is not created yet has a name made of the stack's name and its logical id.
"""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]

PSEUDO_PARAMETERS = {
    "AWS::StackName": "cloudfront-invalidator",
    "AWS::Region": "eu-central-1",
    "AWS::AccountId": "111122223333",
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
}

# ARNs, with a name or an id of the resource.
ARNS = {
    "AWS::CloudWatch::Alarm": "arn:aws:cloudwatch:eu-central-1:111122223333:alarm:{}",
}


class YamlLoader(yaml.SafeLoader):
    """Reads the short tags of CloudFormation as its functions: `!Sub text` as `{"Fn::Sub": "text"}`."""


def construct_function(loader, name, node):
    constructors = {
        yaml.ScalarNode: loader.construct_scalar,
        yaml.SequenceNode: lambda node: loader.construct_sequence(node, deep=True),
        yaml.MappingNode: lambda node: loader.construct_mapping(node, deep=True),
    }
    name = name if name in ("Ref", "Condition") else f"Fn::{name}"
    return {name: constructors[type(node)](node)}


YamlLoader.add_multi_constructor("!", construct_function)
# CloudFormation reads 2012-10-17 as a string.
YamlLoader.add_constructor("tag:yaml.org,2002:timestamp", YamlLoader.construct_yaml_str)


def load_yaml(path):
    return yaml.load(path.read_text(), YamlLoader)


def descendants(value):
    """Yields a value of JSON or YAML and all values in it."""
    yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from descendants(child)


class Stack:
    """The template with the values of its parameters. Parameters that are not named have their default."""

    def __init__(self, template=None, **parameters):
        self.template = template or load_yaml(ROOT / "template.yaml")
        if unknown := set(parameters) - set(self.template["Parameters"]):
            raise ValueError(f"the template has no parameter {', '.join(sorted(unknown))}")
        self.parameters = {
            name: parameters.get(name, parameter.get("Default", ""))
            for name, parameter in self.template["Parameters"].items()
        }

    def exists(self, name):
        """Returns whether the stack has the resource."""
        resource = self.template["Resources"][name]
        return "Condition" not in resource or self.condition(resource["Condition"])

    def condition(self, name):
        return self.holds(self.template["Conditions"][name])

    def holds(self, value):
        ((function, argument),) = value.items()
        if function == "Condition":
            return self.condition(argument)
        if function == "Fn::Not":
            return not self.holds(argument[0])
        if function in ("Fn::And", "Fn::Or"):
            return (all if function == "Fn::And" else any)(self.holds(part) for part in argument)
        if function == "Fn::Equals":
            first, second = (str(self.resolve(part)) for part in argument)
            return first == second
        raise ValueError(f"{function} in a condition")

    def resolve(self, value):
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((function, argument),) = value.items()
            if function == "Ref":
                return self.reference(argument)
            if function == "Fn::GetAtt":
                return self.attribute(*(argument if isinstance(argument, list) else argument.split(".", 1)))
            if function == "Fn::If":
                name, then, otherwise = argument
                return self.resolve(then if self.condition(name) else otherwise)
            if function == "Fn::Sub":
                text, values = argument if isinstance(argument, list) else (argument, {})
                values = {name: str(self.resolve(part)) for name, part in values.items()}
                return re.sub(r"\$\{([^!}][^}]*)}", lambda match: self.substitute(match[1], values), text)
            if function.startswith("Fn::"):
                raise ValueError(f"{function} is not supported")
        return {key: self.resolve(item) for key, item in value.items()}

    def substitute(self, name, values):
        if name in values:
            return values[name]
        return str(self.attribute(*name.split(".", 1)) if "." in name else self.reference(name))

    def reference(self, name):
        if name in PSEUDO_PARAMETERS:
            return PSEUDO_PARAMETERS[name]
        if name in self.parameters:
            return self.parameters[name]
        properties = self.resource(name).get("Properties", {})
        named = next((properties[key] for key in ("LogGroupName", "FunctionName", "DashboardName") if key in properties), None)
        return self.resolve(named) if named else f"{PSEUDO_PARAMETERS['AWS::StackName']}-{name}-EXAMPLE"

    def attribute(self, name, attribute):
        kind = self.resource(name)["Type"]
        if attribute in ("QueueName", "TopicName"):
            return self.reference(name)
        if attribute == "Arn" and kind in ARNS:
            return ARNS[kind].format(self.reference(name))
        raise ValueError(f"{name}.{attribute} is not supported")

    def resource(self, name):
        if name not in self.template["Resources"]:
            raise ValueError(f"the template has no resource {name}")
        if not self.exists(name):
            raise ValueError(f"the resource {name} does not exist under this condition")
        return self.template["Resources"][name]
