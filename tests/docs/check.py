"""Checks the fenced blocks and the tables of README.md, CONTRIBUTING.md and docs/*.md, and the files of examples/:

- Python compiles. YAML parses, and cfn-lint accepts resources and templates of CloudFormation.
- Events of direct invocation have its fields, and the transitions and errors of state machines exist (callers.py).
- AWS CLI commands have an operation and parameters of the botocore model, and JSON arguments have its structure.
- `sam deploy` and `make` commands name parameters of template.yaml and targets of the Makefile.
- Saved queries and budgets of CloudFormation have the structure of the call that creates them.
- IAM statements allow nothing that template.yaml does not allow, on the same kinds of resources.
- Lambda events equal a file of events/ or tests/events/.
- The commands of `console` blocks and their output are in a picture of terminal.py; lines can be wrapped differently.
- Relative links lead to a file and a heading; the names after a link to a source are in that source.
- The description of each alarm of template.yaml ends with a heading of docs/operations.md.
- Tables of parameters, outputs and variables list those of template.yaml, each once, and no others.
- The dashboard of template.yaml is valid, shows the metrics of src/metrics.rs, and docs/dashboard.png shows it
  (dashboard.py).
- The tables of docs/costs.md follow from the measured figures, the simulated loads and the prices (costs.py).

It prints one line for each problem. tests/docs/main.rs checks the other languages and `cf-invalidate` commands.
"""

import json
import re
import shlex
import sys
from pathlib import Path
from xml.etree import ElementTree

import costs
import dashboard
import yaml
from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator
from callers import event_problems, field_problems, state_machine_problems, template_events
from cfnlint.api import lint, lint_all
from cloudformation import ROOT, Stack, YamlLoader, descendants

sys.path.append(str(ROOT / ".github/release"))

import templates  # noqa: E402

# https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-options.html
GLOBAL_OPTIONS = set(
    "ca-bundle cli-auto-prompt cli-binary-format cli-connect-timeout cli-input-json cli-input-yaml cli-read-timeout"
    " color debug endpoint-url generate-cli-skeleton max-items no-cli-auto-prompt no-cli-pager no-paginate no-sign-request"
    " no-verify-ssl output page-size profile query region starting-token".split()
)

# Commands that the AWS CLI adds to the API, with the options that a snippet may use.
TRANSFER = set(
    "acl cache-control content-encoding content-type delete dryrun exact-timestamps exclude follow-symlinks"
    " include metadata metadata-directive no-follow-symlinks no-guess-mime-type no-progress only-show-errors"
    " quiet recursive size-only sse storage-class".split()
)
CUSTOM_COMMANDS = {
    ("s3", "cp"): TRANSFER - {"delete", "exact-timestamps", "size-only"},
    ("s3", "ls"): {"human-readable", "recursive", "summarize"},
    ("s3", "mb"): set(),
    ("s3", "mv"): TRANSFER - {"delete", "exact-timestamps", "size-only"},
    ("s3", "rm"): {"dryrun", "exclude", "include", "only-show-errors", "quiet", "recursive"},
    ("s3", "sync"): TRANSFER - {"recursive"},
    ("cloudformation", "deploy"): set(
        "capabilities no-fail-on-empty-changeset parameter-overrides s3-bucket stack-name template-file".split()
    ),
    ("configure", "list"): set(),
    ("logs", "tail"): {"filter-pattern", "follow", "format", "since"},
    ("sso", "login"): {"no-browser", "sso-session"},
}

# Parameters that the AWS CLI names differently from the API, or adds, by service, operation and API name.
# https://github.com/aws/aws-cli/blob/v2/awscli/customizations/argrename.py
RENAMED_PARAMETERS = {("sns", "subscribe", "Endpoint"): "notification-endpoint"}
ADDED_PARAMETERS = {("cloudfront", "create-invalidation", "paths"): "InvalidationBatch"}

# What the callers of the function and the rules that forward events need, which the template does not grant.
OTHER_ACTIONS = {"lambda:InvokeFunction": {"lambda:function"}, "events:PutEvents": {"events:event-bus"}}

# What the policy of a customer managed key of the alarms' topic needs. The stack does not create the key.
KEY_POLICY_ACTIONS = {"kms:Decrypt": {"*"}, "kms:GenerateDataKey*": {"*"}}

# The call with which CloudFormation creates a resource: the service, the operation, and its parameters from the properties.
CREATE_CALLS = {
    "AWS::Budgets::Budget": (
        "budgets",
        "CreateBudget",
        lambda properties: {"AccountId": "111122223333", **properties},
    ),
    "AWS::Logs::QueryDefinition": (
        "logs",
        "PutQueryDefinition",
        lambda properties: {name[0].lower() + name[1:]: value for name, value in properties.items()},
    ),
}

# Forms of resources that the template refers to.
RESOURCE_FORMS = {"AWS::SQS::Queue": "sqs:", "AWS::Logs::LogGroup": "logs:log-group"}

# What terminal.py draws.
SESSIONS = [ROOT / "docs" / name for name in ("deploy.svg", "demo.svg")]

TOKEN = re.compile(
    r"""(?P<blank> [ \t]+ | \\\n | (?<![^\s;|&()])\#[^\n]* )
      | (?P<redirection> \d*(?:[<>]+[&|]?)(?!\() )
      | (?P<operator> [;|&()<>\n] )
      | (?P<word> (?: '[^']*' | "(?:\\.|[^"\\])*" | \\. | [^\s'"\\;|&()<>] )+ )""",
    re.VERBOSE | re.DOTALL,
)
RESERVED = {"!", "{", "do", "elif", "else", "if", "then", "until", "while"}


class Validator(ParamValidator):
    """Also rejects strings that are not in the list of a shape's values."""

    def _shape_has_constraints(self, shape):
        # Without constraints, botocore checks only the types of a list's or structure's members.
        return super()._shape_has_constraints(shape) or bool(getattr(shape, "enum", None))

    def _validate_string(self, param, shape, errors, name):
        super()._validate_string(param, shape, errors, name)
        if isinstance(param, str) and shape.enum and param not in shape.enum:
            errors.report(name, "invalid type", param=param, valid_types=shape.enum)


def description(picture):
    """Returns the text that a picture of terminal.py shows."""
    return ElementTree.parse(picture).findtext("{http://www.w3.org/2000/svg}desc")


def without_space(text):
    return "".join(text.split())


def as_list(value):
    return value if isinstance(value, list) else [value]


def shell_commands(script, first_line=0):
    """Yields the line and the words of each command of a script, without redirections and here-documents."""
    script = re.sub(
        r"<<-?\s*(['\"]?)(\w+)\1([^\n]*\n)(.*?\n)?\s*\2$",
        lambda match: match[3] + "\n" * (match[4] or "").count("\n"),
        script,
        flags=re.DOTALL | re.MULTILINE,
    )
    while (start := script.rfind("$(")) >= 0:
        depth, end = 1, start + 2
        while depth:
            if end == len(script):
                raise ValueError("$( without )")
            depth += {"(": 1, ")": -1}.get(script[end], 0)
            end += 1
        inner = script[start + 2 : end - 1]
        yield from shell_commands(inner, first_line + script[:start].count("\n"))
        script = script[:start] + "$SUBSTITUTED" + "\\\n" * inner.count("\n") + script[end:]
    words, line, position, redirected = [], first_line, 0, False
    while position <= len(script):
        match = TOKEN.match(script, position)
        if not match and position < len(script):
            raise ValueError(f"the quote is not closed: {script[position:].splitlines()[0]}")
        if not match or match.lastgroup == "operator":
            while words and (words[0] in RESERVED or re.match(r"\w+=", words[0])):
                words.pop(0)
            if words:
                yield line, words
            words = []
        if not match:
            return
        if match.lastgroup == "word":
            if not redirected:
                words.append("".join(shlex.split(match[0])))
            redirected = False
        elif match.lastgroup == "redirection":
            redirected = True
        line += match[0].count("\n")
        position = match.end()


class Template:
    """What the documentation repeats of template.yaml."""

    def __init__(self):
        template = yaml.load((ROOT / "template.yaml").read_text(), YamlLoader)
        self.resources = template["Resources"]
        self.parameters = set(template["Parameters"])
        self.outputs = set(template["Outputs"])
        functions = [resource for resource in self.resources.values() if resource["Type"] == "AWS::Serverless::Function"]
        self.variables = {name for function in functions for name in function["Properties"]["Environment"]["Variables"]}
        self.pattern = self.resources["SourceBucketRule"]["Properties"]["EventPattern"]
        # By action, and whether a policy of a resource or of the role allows it.
        self.allowed = {(False, action): forms for action, forms in OTHER_ACTIONS.items()}
        self.allowed |= {(True, action): forms for action, forms in KEY_POLICY_ACTIONS.items()}
        for statement in statements(self.resources):
            for action in as_list(statement["Action"]):
                forms = self.allowed.setdefault(("Principal" in statement, action), set())
                forms |= self.forms(statement.get("Resource", []))

    def forms(self, resource):
        """Returns the service and the type of each ARN: `cloudfront:distribution` of `arn:…:distribution/*`."""
        forms = set()
        for value in descendants(resource):
            if value == "*":
                forms.add("*")
            elif isinstance(value, str) and value.startswith("arn:"):
                value = re.sub(r"\$\{[^}]*}", "X", value)
                arn = re.fullmatch(r"arn:[^:]*:([^:]*):[^:]*:[^:]*:([a-z-]+(?=[:/]))?.*", value)
                forms.add(f"{arn[1]}:{arn[2] or ''}" if arn else value)
            elif isinstance(value, dict) and "Fn::GetAtt" in value:
                name = ".".join(as_list(value["Fn::GetAtt"])).split(".")[0]
                forms.add(RESOURCE_FORMS.get(self.resources.get(name, {}).get("Type"), name))
        return forms


def template_text(name):
    """Returns a template of the stack archive, or a file of the repository."""
    if name == "template-s3.yaml":
        return templates.with_bucket((ROOT / "template.yaml").read_text(), "x86_64")
    return (ROOT / ("examples/site/template.yaml" if name == "site.yaml" else name)).read_text()


def slug(title):
    """Returns the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def statements(value):
    """Yields the IAM statements in a value."""
    for child in descendants(value):
        if isinstance(child, dict) and "Effect" in child and "Action" in child:
            yield child


class Checker:
    def __init__(self):
        self.template = Template()
        self.events = [
            json.loads(file.read_text()) for name in ("events", "tests/events") for file in (ROOT / name).glob("*.json")
        ]
        self.targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        self.loader = Loader()
        # With a character between them that no block contains.
        self.sessions = "\0".join(without_space(text) for text in map(description, SESSIONS))
        self.problems = []
        counted = ("blocks", "AWS CLI commands", "resources", "IAM statements", "events", "tables")
        self.counts = dict.fromkeys(counted, 0)

    def problem(self, file, line, message):
        self.problems.append(f"{file}:{line}: {message}")

    def check(self):
        for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]:
            if path.exists():
                self.document(path.relative_to(ROOT), path.read_text())
        if not self.counts["tables"]:
            self.problem("docs/settings-and-permissions.md", 1, "no table of parameters, outputs or variables was found")
        self.alarms()
        for problem in field_problems():
            self.problem("src/trigger/direct.rs", 1, problem)
        for problem in costs.problems():
            self.problem("docs/costs.md", 1, problem)
        for problem in dashboard.problems():
            self.problem("template.yaml", 1, problem)
        # Its folders are checked elsewhere: site by cfn-lint and in the demo, cdk by tests/release/test_cdk.py.
        for path in sorted(path for path in (ROOT / "examples").iterdir() if path.is_file()):
            language = {".sh": "sh", ".yml": "yaml", ".yaml": "yaml", ".json": "json"}.get(path.suffix)
            self.block(path.relative_to(ROOT), 1, language, path.read_text())
            if path.suffix == ".yaml":
                self.comments(path.relative_to(ROOT), path.read_text())

    def document(self, file, text):
        lines = text.splitlines()
        start = fence = language = None
        prose = []
        for number, line in enumerate(lines, 1):
            opening = re.match(r"( *)(`{3,})\s*(\S*)", line)
            if fence is None and opening:
                indent, fence, language = len(opening[1]), opening[2], opening[3]
                start = number + 1
            elif fence is not None and line.strip() == fence:
                block = "".join(line[indent:] + "\n" for line in lines[start - 1 : number - 1])
                self.block(file, start, language, block)
                fence = None
            elif fence is None:
                prose.append((number, line))
        if fence:
            self.problem(file, start - 1, "the block is not closed")
        for number, line in prose:
            self.links(file, number, line)
        if file.name == "settings-and-permissions.md":
            self.tables(file, prose)

    def block(self, file, line, language, text):
        self.counts["blocks"] += 1
        if language in ("bash", "sh"):
            self.script(file, line, text)
        elif language in ("yaml", "yml"):
            try:
                documents = list(yaml.load_all(text, YamlLoader))
                for node in yaml.compose_all(text, YamlLoader):
                    self.scripts(file, line, node)
            except yaml.MarkedYAMLError as error:
                mark = error.problem_mark.line if error.problem_mark else 0
                self.problem(file, line + mark, f"YAML: {error.problem}")
                return
            for document in documents:
                self.samples(file, line, document)
                if isinstance(document, dict) and "Resources" in document:
                    self.cloudformation(file, line, text, document)
                elif isinstance(document, dict):
                    self.resources(file, line, document)
        elif language == "json":
            try:
                self.samples(file, line, json.loads(text))
            except json.JSONDecodeError as error:
                self.problem(file, line + error.lineno - 1, f"JSON: {error.msg}")
        elif language == "console":
            # Each command with its output; a block can leave commands out.
            for part in re.split(r"^(?=\$ )", text, flags=re.MULTILINE):
                if without_space(part) not in self.sessions:
                    command = part.partition("\n")[0]
                    self.problem(file, line, f"no picture of `make terminal` shows {command!r}: run it, and copy the text")
        elif language == "python":
            try:
                compile(text, str(file), "exec")
            except SyntaxError as error:
                self.problem(file, line + (error.lineno or 1) - 1, f"Python: {error.msg}")

    def scripts(self, file, line, node):
        """Checks the items of lists that contain a command, such as `commands` of a buildspec."""
        if isinstance(node, yaml.MappingNode):
            for _, value in node.value:
                self.scripts(file, line, value)
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                if isinstance(item, yaml.ScalarNode) and re.search(r"\b(aws|make|sam) ", item.value):
                    # The text of `|` and `>` starts on the next line.
                    self.script(file, line + item.start_mark.line + (item.style in ("|", ">")), item.value)
                self.scripts(file, line, item)

    def resources(self, file, line, document):
        """Checks resources of CloudFormation, whose references can be to resources that the block omits."""
        types = [value.get("Type") for value in document.values() if isinstance(value, dict)]
        if not types or not all(isinstance(name, str) and name.startswith("AWS::") for name in types):
            return
        self.counts["resources"] += len(types)
        template = {"Transform": "AWS::Serverless-2016-10-31", "Resources": document}
        for match in lint_all(json.dumps(template)):
            if re.match("E[023]", match.rule.id):
                self.problem(file, line, f"cfn-lint: {match.rule.id} {match.message}")

    def cloudformation(self, file, line, text, template):
        """Checks a template that a reader can deploy."""
        self.counts["resources"] += len(template["Resources"])
        for match in lint(text):
            self.problem(file, line + match.linenumber - 1, f"cfn-lint: {match.rule.id} {match.message}")
        for name, event in template_events(template):
            try:
                self.payload(event)
            except ValueError as error:
                self.problem(file, line, f"{name}: {error}")
        for statement in statements(template):
            if any(isinstance(value, str) and "*" in value for value in descendants(statement.get("Resource"))):
                self.problem(file, line, f"{statement['Action']} is allowed on more than one resource")
        for name, resource in template["Resources"].items():
            if resource["Type"] == "AWS::StepFunctions::StateMachine":
                for problem in state_machine_problems(resource["Properties"]["Definition"]):
                    self.problem(file, line, f"{name}: {problem}")
            elif resource["Type"] == "AWS::Chatbot::CustomAction":
                command = resource["Properties"]["Definition"]["CommandText"]
                self.chat(file, line, command["Fn::Sub"] if isinstance(command, dict) else command)
            elif resource["Type"] in CREATE_CALLS:
                self.creation(file, line, name, resource, template)

    def creation(self, file, line, name, resource, template):
        """Checks a resource as the call with which CloudFormation creates it."""
        service, operation, parameters = CREATE_CALLS[resource["Type"]]
        model = ServiceModel(self.loader.load_service_model(service, "service-2"), service)
        sample = {"Email": "web@example.com", "MonthlyPaths": "1000", "SlackLogGroupName": "/aws/lambda/site/slack"}
        stack = Stack(template, **{name: value for name, value in sample.items() if name in template["Parameters"]})
        request = parameters(stack.resolve(resource["Properties"]))
        errors = Validator().validate(request, model.operation_model(operation).input_shape)
        if errors.has_errors():
            self.problem(file, line, f"{name}: {errors.generate_report()}".replace("\n", "; "))

    def comments(self, file, text):
        """Checks the commands in the comments of a template, which are indented."""
        lines = [line.removeprefix("#   ") if line.startswith("#   ") else "" for line in text.splitlines()]
        self.script(file, 1, "\n".join(line if not line.startswith("@") else "" for line in lines) + "\n")
        for number, line in enumerate(lines, 1):
            if alias := re.match(r"@Amazon Q alias create \S+ (.*)", line):
                self.chat(file, number, alias[1])

    def chat(self, file, line, command):
        """Checks a command of Amazon Q Developer in chat applications, in which JSON is not quoted."""
        command, payload, event = command.partition(" --payload ")
        try:
            self.aws([*command.split(), payload.strip(), event])
        except ValueError as error:
            self.problem(file, line, f"{command}: {error}")

    def payload(self, text):
        """Checks the event of an invocation: one of direct invocation, or of a file of events/."""
        try:
            event = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"the event is not JSON: {error}") from error
        self.counts["events"] += 1
        if event not in self.events and (problems := list(event_problems(event))):
            raise ValueError("; ".join(problems))

    def script(self, file, first_line, text):
        try:
            commands = list(shell_commands(text, first_line))
        except ValueError as error:
            self.problem(file, first_line, f"shell: {error}")
            return
        for line, words in commands:
            for word in words:
                if re.match(r"(events|examples|tests)/", word) and not (ROOT / word).exists():
                    self.problem(file, line, f"{word} does not exist")
                for output in re.findall(r"OutputKey ?== ?[`'\"]+(\w+)", word):
                    if output not in self.template.outputs:
                        self.problem(file, line, f"template.yaml has no output {output}")
                if word.startswith(("{", "[{")):
                    try:
                        self.samples(file, line, json.loads(word))
                    except json.JSONDecodeError:
                        pass  # The check of the parameter reports it.
            # The function `output` of docs/operations.md prints an output of the stack.
            if words[0] == "output" and len(words) == 2 and words[1] not in self.template.outputs:
                self.problem(file, line, f"template.yaml has no output {words[1]}")
            try:
                if words[0] == "aws":
                    self.counts["AWS CLI commands"] += 1
                    self.aws(words[1:])
                elif words[0] == "make":
                    for word in words[1:]:
                        if re.fullmatch(r"[\w-]+", word) and not word.startswith("-") and word not in self.targets:
                            raise ValueError(f"the Makefile has no target {word}")
                if "--parameter-overrides" in words:
                    overrides = words[words.index("--parameter-overrides") + 1 :]
                    template, parameters = "template.yaml", self.template.parameters
                    if "--template-file" in words:
                        template = words[words.index("--template-file") + 1]
                        parameters = yaml.load(template_text(template), YamlLoader)["Parameters"]
                    for override in " ".join(overrides).split(" --")[0].split():
                        name = override.removeprefix("ParameterKey=").split("=")[0].split(",")[0]
                        if name not in parameters:
                            raise ValueError(f"{template} has no parameter {name}")
            except ValueError as error:
                self.problem(file, line, f"{' '.join(words[:3])}: {error}")

    def aws(self, words):
        """Checks an AWS CLI command."""
        options, positional = {}, []
        for word in words:
            if word.startswith("--"):
                name, separator, value = word[2:].partition("=")
                option = options.setdefault(name, [])
                option += [value] if separator else []
            elif options:
                option.append(word)
            else:
                positional.append(word)
        for name in GLOBAL_OPTIONS & set(options):
            # Positional arguments can follow an option.
            positional += options.pop(name)[0 if name.startswith("no-") or name == "debug" else 1 :]
        if len(positional) < 2:
            raise ValueError("a service and an operation are required")
        service, operation, *positional = positional
        if (service, operation) in CUSTOM_COMMANDS:
            if unknown := set(options) - CUSTOM_COMMANDS[service, operation]:
                raise ValueError(f"unknown option --{', --'.join(sorted(unknown))}")
            return
        service_name = {"s3api": "s3"}.get(service, service)
        if service_name not in self.loader.list_available_services("service-2"):
            raise ValueError(f"unknown service {service}")
        model = ServiceModel(self.loader.load_service_model(service_name, "service-2"), service_name)
        if operation == "wait":
            waiters = self.loader.load_service_model(service_name, "waiters-2")["waiters"]
            waiters = {xform_name(name, "-"): waiter["operation"] for name, waiter in waiters.items()}
            waiter = positional.pop(0) if positional else ""
            if waiter not in waiters:
                raise ValueError(f"unknown waiter {waiter!r}: expected {', '.join(sorted(waiters))}")
            operation = xform_name(waiters[waiter], "-")
        operations = {xform_name(name, "-"): name for name in model.operation_names}
        if operation not in operations:
            raise ValueError(f"unknown operation {operation}")
        model = model.operation_model(operations[operation])
        if model.has_streaming_output:
            # The file for the output is an argument of its own, which can follow an option.
            if positional:
                positional.pop()
            elif options:
                del list(options.values())[-1][1:2]
        if positional:
            raise ValueError(f"unexpected argument {positional[0]}")
        shape = model.input_shape
        members = shape.members if shape else {}
        names = {
            RENAMED_PARAMETERS.get((service, operation, name), xform_name(name, "-")): name for name in members
        }
        missing = set(shape.required_members if shape else ())
        for option, values in options.items():
            if added := ADDED_PARAMETERS.get((service, operation, option)):
                missing.discard(added)
                continue
            negated = option.removeprefix("no-")
            name = names.get(option) or names.get(negated)
            if name is None or (option not in names and members[name].type_name != "boolean"):
                raise ValueError(f"unknown parameter --{option}")
            missing.discard(name)
            self.argument(option, members[name], values)
            if (service, operation, name) == ("lambda", "invoke", "Payload") and values[0].startswith("{"):
                self.payload(values[0])
        if missing:
            raise ValueError(f"missing parameter {', '.join(sorted(missing))}")

    def argument(self, option, shape, values):
        """Checks the values of an option. Shorthand (`Key=value,...`) is checked for the names of members only."""
        if shape.type_name == "boolean":
            if values:
                raise ValueError(f"--{option} takes no value")
            return
        if not values:
            raise ValueError(f"--{option} needs a value")
        if len(values) > 1 and shape.type_name not in ("list", "map", "structure"):
            raise ValueError(f"--{option} takes one value, not {values[1]!r} too")
        value = values[0]
        if "$" in value or re.match(r"fileb?://", value):
            return
        if shape.type_name in ("list", "map", "structure"):
            if value.lstrip().startswith(("{", "[")):
                try:
                    value = json.loads(value)
                except json.JSONDecodeError as error:
                    raise ValueError(f"--{option} is not JSON: {error}") from error
            elif shape.type_name == "list" and shape.member.type_name not in ("list", "map", "structure"):
                value = values
            else:
                structure = shape.member if shape.type_name == "list" else shape
                keys = re.findall(r"(?:^|,)(\w+)=", value) if "{" not in value else []
                if structure.type_name == "structure" and (unknown := set(keys) - set(structure.members)):
                    raise ValueError(f"--{option} has no member {', '.join(sorted(unknown))}")
                return
        elif shape.type_name in ("integer", "long"):
            value = int(value) if value.isdecimal() else value
        elif shape.type_name != "string":
            return
        errors = Validator().validate(value, shape)
        if errors.has_errors():
            raise ValueError(f"--{option}: {errors.generate_report()}".replace("\n", "; "))

    def samples(self, file, line, value):
        """Checks IAM statements, Lambda events and event patterns."""
        for statement in statements(value):
            self.counts["IAM statements"] += 1
            forms = self.template.forms(statement.get("Resource", []))
            for action in as_list(statement["Action"]):
                allowed = self.template.allowed.get(("Principal" in statement, action))
                if action in ("sts:AssumeRole", "sts:AssumeRoleWithWebIdentity"):
                    continue
                if allowed is None:
                    self.problem(file, line, f"template.yaml does not allow {action}")
                elif not forms or forms - allowed:
                    found, expected = ", ".join(sorted(forms)) or "no resource", ", ".join(sorted(allowed))
                    self.problem(file, line, f"{action} on {found}: template.yaml has {expected}")
        for pattern in descendants(value):
            if isinstance(pattern, dict) and isinstance(pattern.get("detail-type"), list):
                for key in ("source", "detail-type"):
                    if pattern.get(key) != self.template.pattern[key]:
                        self.problem(file, line, f"event pattern: template.yaml has {key} {self.template.pattern[key]}")
        is_event = isinstance(value, dict) and (
            {"Records", "CodePipeline.job"} & set(value) or isinstance(value.get("detail-type"), str)
        )
        if is_event:
            self.counts["events"] += 1
            if value not in self.events:
                self.problem(file, line, "the event is not a file of events/ or tests/events/")

    def links(self, file, number, line):
        """Checks relative links, and that linked sources contain the names that follow: "[`src/a.rs`](../src/a.rs): `f`"."""
        for link in re.finditer(r"\]\(([^)#:]*)(?:#([^)]*))?\)((?:[:,] `[^`]+`)*)", line):
            target, anchor, names = link.groups()
            linked = ROOT / file.parent / target if target else ROOT / file
            if not linked.exists():
                self.problem(file, number, f"the link leads to no file: {target}")
                continue
            is_text = linked.is_file() and linked.suffix != ".png"
            text = linked.read_text() if is_text else ""
            if anchor and anchor not in {slug(title) for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}:
                self.problem(file, number, f"{target or file} has no heading for #{anchor}")
            for name in re.findall(r"\w+", re.sub(r"::", " ", names)):
                if not re.search(rf"\b{name}\b", text):
                    self.problem(file, number, f"{target} does not contain {name}")

    def alarms(self):
        """Checks that the description of each alarm ends with a heading of docs/operations.md."""
        for name, resource in self.template.resources.items():
            if resource["Type"] == "AWS::CloudWatch::Alarm":
                place = resource["Properties"]["AlarmDescription"].split()[-1]
                if not place.startswith("docs/operations.md#"):
                    self.problem("template.yaml", 1, f"the description of {name} ends without docs/operations.md#...")
                self.links(Path("template.yaml"), 1, f"[{name}]({place})")

    def tables(self, file, prose):
        """Compares the first columns of the tables that list parameters, outputs and variables."""
        expected = {
            "parameter": self.template.parameters,
            "output": self.template.outputs,
            "variable": self.template.variables,
        }
        listed = {}
        kind = None
        for number, line in prose:
            if not line.startswith("|"):
                kind = None
                continue
            cell = line.split("|")[1].strip()
            if kind is None:
                kind = cell.lower() or "none"
                if kind in expected:
                    self.counts["tables"] += 1
                    listed.setdefault(kind, set())
                continue
            if kind in expected:
                names = set(re.findall(r"`([^`]+)`", cell))
                for name in sorted(names & listed[kind]):
                    self.problem(file, number, f"{name} is listed twice")
                listed[kind] |= names
                for name in sorted(names - expected[kind]):
                    if not (kind == "variable" and name.startswith("AWS_")):
                        self.problem(file, number, f"template.yaml has no {kind} {name}")
        for kind, names in expected.items():
            for name in sorted(names - listed.get(kind, set())):
                self.problem(file, 1, f"no table of {kind}s lists {name}")


def main():
    checker = Checker()
    checker.check()
    print("\n".join(checker.problems) or ", ".join(f"{count} {what}" for what, count in checker.counts.items()))
    sys.exit(bool(checker.problems))


if __name__ == "__main__":
    main()
