"""Reads the dashboard of template.yaml and checks it: its JSON under each combination of conditions, its properties, its
grid, and the names of the metrics, which the function publishes (src/metrics.rs) and dashboard and alarms read. Checks the
fields that queries of Logs Insights read, there and in examples/operations.yaml.

picture.py draws the same JSON.
"""

import hashlib
import itertools
import json
import re

from cloudformation import ROOT, Stack, descendants, load_yaml

PICTURE = ROOT / "docs" / "dashboard.png"
METRICS = ROOT / "src" / "metrics.rs"

# The stack of the picture: with everything that a stack can have.
SAMPLE = {"DistributionId": "E2EXAMPLE1ABCD", "SlackSecretName": "cdn/slack"}

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-Dashboard-Body-Structure.html
COLUMNS = 24
PROPERTIES = {
    "alarm": {"alarms", "sortBy", "states", "title"},
    "log": {"query", "region", "title", "view"},
    "metric": set(
        "annotations legend liveData metrics period region setPeriodToTimeRange singleValueFullPrecision sparkline stacked"
        " start stat timezone title view yAxis".split()
    ),
    "text": {"background", "markdown"},
}
# Words of queries that are no fields of the function's log.
QUERY_WORDS = set(
    "SOURCE and as asc by bin coalesce desc display fields filter ispresent limit not or sort stats sum".split()
)
STATISTIC = re.compile(r"Average|Maximum|Minimum|SampleCount|Sum|p\d{1,2}(\.\d+)?")


def body(stack):
    """Returns the object in DashboardBody."""
    return json.loads(stack.resolve(stack.template["Resources"]["OperationsDashboard"]["Properties"]["DashboardBody"]))


def digest(dashboard):
    """Returns the hash with which the picture names the dashboard that it shows."""
    return hashlib.sha256(json.dumps(dashboard, sort_keys=True).encode()).hexdigest()


def metrics(widget):
    """Yields namespace, name, dimensions and options of each metric of a widget."""
    for metric in widget["properties"].get("metrics", []):
        *names, options = metric if isinstance(metric[-1], dict) else [*metric, {}]
        namespace, name, *dimensions = names
        yield namespace, name, dict(zip(dimensions[::2], dimensions[1::2], strict=True)), options


def problems():
    """Yields a message for each problem."""
    template, valid = Stack().template, True
    for slack, alarms, namespace in itertools.product(("", "cdn/slack"), ("true", "false"), ("Sites", "none")):
        stack = Stack(template, SlackSecretName=slack, Alarms=alarms, MetricsNamespace=namespace)
        case = f"dashboard with SlackSecretName={slack!r}, Alarms={alarms}, MetricsNamespace={namespace}"
        try:
            widgets = body(stack)["widgets"]
        except ValueError as error:
            yield f"{case}: {error}"
            valid = False
            continue
        yield from (f"{case}: {problem}" for problem in widget_problems(widgets))
        yield from (f"{case}: {problem}" for problem in alarm_problems(stack, widgets))
        url = stack.resolve(template["Outputs"]["DashboardUrl"]["Value"])
        if not url.endswith(f"#dashboards/dashboard/{stack.reference('OperationsDashboard')}"):
            yield f"{case}: DashboardUrl leads to another dashboard: {url}"
    if not valid:
        return
    yield from name_problems(template)
    yield from field_problems(template)
    yield from documented_query_problems()
    if not PICTURE.exists() or digest(body(Stack(template, **SAMPLE))).encode() not in PICTURE.read_bytes():
        yield f"{PICTURE.relative_to(ROOT)} shows another dashboard: run `make picture`, look at the picture and commit it"


def widget_problems(widgets):
    occupied = {}
    for widget in widgets:
        properties = widget["properties"]
        title = properties.get("title") or properties.get("markdown", "")[:40]
        if unknown := set(properties) - PROPERTIES[widget["type"]]:
            yield f"{title!r}: unknown property {', '.join(sorted(unknown))}"
        if widget["type"] in ("log", "metric") and "region" not in properties:
            yield f"{title!r}: no region"
        if "start" in properties and not re.fullmatch(r"-P(\d+[DWM]|T\d+[HM])", properties["start"]):
            yield f"{title!r}: start {properties['start']}"
        for namespace, name, _, options in metrics(widget):
            statistic = options.get("stat") or properties.get("stat") or ""
            if not STATISTIC.fullmatch(statistic):
                yield f"{title!r}: {namespace} {name} has the statistic {statistic!r}"
        across = range(widget["x"], widget["x"] + widget["width"])
        if across.stop > COLUMNS:
            yield f"{title!r}: ends in column {across.stop} of {COLUMNS}"
        for cell in itertools.product(across, range(widget["y"], widget["y"] + widget["height"])):
            if cell in occupied:
                yield f"{title!r}: covers {occupied[cell]!r}"
                break
            occupied[cell] = title
    rows = 1 + max(y for _, y in occupied)
    if gaps := rows * COLUMNS - len(occupied):
        yield f"the grid has {gaps} empty cells"


def alarm_problems(stack, widgets):
    """The dashboard shows all alarms of the stack."""
    shown = {alarm for widget in widgets for alarm in widget["properties"].get("alarms", [])}
    resources = stack.template["Resources"].items()
    alarms = {name for name, resource in resources if resource["Type"] == "AWS::CloudWatch::Alarm" and stack.exists(name)}
    for name in sorted(alarms):
        if stack.attribute(name, "Arn") not in shown:
            yield f"it does not show {name}"


def published_metrics():
    """Returns the names in the source of the metrics."""
    source = METRICS.read_text()
    names = re.search(r"fn name\(self\).*?\n    }\n", source, re.DOTALL)
    return set(re.findall(r'"(\w+)"', names[0])) if names else set()


def name_problems(template):
    """The dashboard shows all metrics that the function publishes; dashboard and alarms read no others."""
    namespace = "NAMESPACE"
    stack = Stack(template, **SAMPLE, MetricsNamespace=namespace)
    shown = {name for widget in body(stack)["widgets"] for found, name, _, _ in metrics(widget) if found == namespace}
    watched = {
        value["MetricName"]: name
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
        for value in descendants(resource["Properties"])
        if isinstance(value, dict) and "MetricName" in value and stack.resolve(value["Namespace"]) == namespace
    }
    published = published_metrics()
    if not published:
        yield "src/metrics.rs: Metric::name was not found"
    for name in sorted(shown - published):
        yield f"the dashboard shows {name}, which src/metrics.rs does not publish"
    for name in sorted(set(watched) - published):
        yield f"{watched[name]} watches {name}, which src/metrics.rs does not publish"
    for name in sorted(published - shown):
        yield f"the dashboard does not show {name}, which src/metrics.rs publishes"


def queries(template):
    """Yields the queries of the dashboard and of examples/operations.yaml, each with its name."""
    for widget in body(Stack(template, **SAMPLE))["widgets"]:
        if widget["type"] == "log":
            yield widget["properties"]["title"], widget["properties"]["query"]
    for name, resource in load_yaml(ROOT / "examples" / "operations.yaml")["Resources"].items():
        if resource["Type"] == "AWS::Logs::QueryDefinition":
            yield name, resource["Properties"]["QueryString"]


def documented_query_problems():
    """docs/operations.md shows each query of examples/operations.yaml."""
    page = (ROOT / "docs" / "operations.md").read_text()
    for name, resource in load_yaml(ROOT / "examples" / "operations.yaml")["Resources"].items():
        if resource["Type"] == "AWS::Logs::QueryDefinition" and resource["Properties"]["QueryString"] not in page:
            yield f"docs/operations.md does not show the query {name} of examples/operations.yaml"


def field_problems(template):
    """Each field that a query reads is a word of the source. Those of `record` are Lambda's own."""
    source = "\n".join(path.read_text() for path in sorted((ROOT / "src").rglob("*.rs")))
    words = set(re.findall(r"\w+", re.sub(r"^\s*//.*$", "", source, flags=re.MULTILINE)))
    for name, query in queries(template):
        query = re.sub(r"'[^']*'", "", query)
        aliases = set(re.findall(r"\bas (\w+)", query))
        fields = set(re.findall(r"(?<![@\w.])[A-Za-z][\w.]*", query)) - aliases - QUERY_WORDS
        for field in sorted(fields - words):
            if not field.startswith("record."):
                yield f"the query {name!r} reads the field {field}, which the source does not have"
