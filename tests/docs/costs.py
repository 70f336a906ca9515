"""Computes the tables of docs/costs.md, and compares them with the page.

usage: costs.py [--write]

--write replaces the tables of the page. The input is the medians of `make bench` (benches/results.json), the paths of
recorded deploys (docs/how-paths-are-chosen.md) and the simulated loads (docs/limits.md). The rest is prices and
assumptions, which docs/costs.md states with their sources.
"""

import gzip
import json
import math
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/costs.md"

# Dollars, us-east-1.
PATH = 0.005
LAMBDA_REQUEST = 0.20 / 1e6
LAMBDA_GB_SECOND = 0.0000166667  # x86_64, the default of the template
SQS_REQUEST = 0.40 / 1e6
LOG_BYTE = 0.50 / 1e9

# A request to send a message; Lambda receives and deletes ten at once.
SQS_REQUESTS_PER_MESSAGE = 1 + 0.1 + 0.1

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html: CPU is proportional to memory.
MB_PER_CPU = 1_769

# Seconds. The time of a new connection is one round trip for TCP and one for TLS 1.3.
ROUND_TRIP = 0.085
CONNECT = 2 * ROUND_TRIP
# Sequential calls of a new process for changed objects without DISTRIBUTION_ID (tests/wire/round_trips.rs).
CALLS_FOR_CHANGES = 3

# Bytes for each invocation, estimated: Lambda writes its start and its end, the function a line for each
# invalidation and a line of metrics.
LAMBDA_LOG = 1_000
FUNCTION_LOG = 1_000

CHANGES = 1_000_000
FUNCTION, SCRIPT = "this function", "Python"


class Error(Exception):
    """The input lacks a figure."""


class Bench:
    """The medians of benches/results.json."""

    def __init__(self, results, memory):
        self.tables = results["tables"]
        self.memory = memory

    def row(self, variant, event, end=""):
        """Returns the medians of the variant in the first table whose event starts and ends with these words."""
        for table in self.tables:
            if table["event"].startswith(event) and table["event"].endswith(end):
                for row in table["rows"]:
                    if row["variant"].startswith(variant):
                        return {name: figure for name, figure in row.items() if figure is not None}
        raise Error(f"benches/results.json has no figures of {variant!r} for {event!r}: run `make bench`")

    def cold_seconds(self, row, network):
        """Returns the billed time of a cold start: initialization and invocation.

        The time in which the process uses the CPU is as much longer as Lambda's share of a CPU is smaller than one.
        """
        throttled = row["cpu_ms"] * (MB_PER_CPU / self.memory - 1)
        return billed((row["sum_ms"] + throttled) / 1e3 + network)

    def warm_seconds(self, row, network):
        """Returns the billed time of a later invocation, whose measured time counts as that of the CPU."""
        return billed(row["warm_p50_ms"] * MB_PER_CPU / self.memory / 1e3 + network)

    def lambda_cost(self, invocations, seconds):
        return invocations * (LAMBDA_REQUEST + seconds * self.memory / 1_024 * LAMBDA_GB_SECOND)


def billed(seconds):
    """Rounds up to a millisecond."""
    return math.ceil(seconds * 1e3 - 1e-9) / 1e3


def dollars(amount):
    if not amount:
        return "$0"
    if amount >= 100:
        return f"${amount:,.0f}"
    return f"${amount:.2f}" if amount >= 0.1 else f"${amount:.4f}"


def table(head, rows):
    """Returns the lines of a table whose first column is text."""
    columns = head.count("|") - 1
    return [head, "|---|" + "--:|" * (columns - 1), *(f"| {' | '.join(row)} |" for row in rows)]


DEPLOYS = "| 1,000 pipeline jobs, each with `/*` | billed time of each | Lambda | logs | paths | together |"
LOADS = "| 1,000,000 changed objects | calls | paths | price of the paths | Lambda | SQS | logs | together |"


def deploys(bench):
    jobs = 1_000
    rows = []
    for name, variant, log in [
        ("this function", FUNCTION, LAMBDA_LOG + FUNCTION_LOG),
        ("Python with boto3", SCRIPT, LAMBDA_LOG),
    ]:
        seconds = bench.cold_seconds(bench.row(variant, "Pipeline job, ", "event 0 ms after init"), 0)
        costs = [bench.lambda_cost(jobs, seconds), jobs * log * LOG_BYTE, jobs * PATH]
        rows.append([name, f"{seconds * 1e3:,.0f} ms", *map(dollars, costs), dollars(sum(costs))])
    return table(DEPLOYS, rows)


def loads(bench, recorded, simulated):
    small = bench.cold_seconds(bench.row(FUNCTION, "SQS batch of 10"), CONNECT + CALLS_FOR_CHANGES * ROUND_TRIP)
    large = bench.cold_seconds(bench.row(FUNCTION, "Largest SQS batch"), CONNECT + CALLS_FOR_CHANGES * ROUND_TRIP)
    single = bench.warm_seconds(bench.row(SCRIPT, "One record of S3"), ROUND_TRIP)
    rows = []
    for name, load, seconds in [
        ("deploys of three recorded sites", recorded, small),
        ("deploys of 100,000 files", simulated("100,000 files at once", ""), large),
        ("one change a second at random pages", simulated("1 a second, 30 min", ""), small),
        ("the same, `BatchingWindow` 300", simulated("1 a second, 30 min", "BatchingWindow 300"), small),
        ("the same, one path for each batch", simulated("1 a second, 30 min", "MaxPaths 1, MaxWildcards 1"), small),
    ]:
        scale = CHANGES / load["changes"]
        invocations, calls, paths = (scale * load[key] for key in ("invocations", "calls", "paths"))
        costs = [
            paths * PATH,
            bench.lambda_cost(invocations, seconds),
            CHANGES * SQS_REQUESTS_PER_MESSAGE * SQS_REQUEST,
            invocations * (LAMBDA_LOG + FUNCTION_LOG) * LOG_BYTE,
        ]
        rows.append([name, f"{calls:,.0f}", f"{paths:,.0f}", *map(dollars, costs), dollars(sum(costs))])
    costs = [CHANGES * PATH, bench.lambda_cost(CHANGES, single), 0, CHANGES * LAMBDA_LOG * LOG_BYTE]
    count = f"{CHANGES:,}"
    rows.append(["script with a call for each event", count, count, *map(dollars, costs), dollars(sum(costs))])
    return table(LOADS, rows)


def recorded_deploys():
    """Returns the recorded deploys of all sites, each as a batch with an invalidation."""
    text = (ROOT / "docs/how-paths-are-chosen.md").read_text()
    load = {"changes": 0, "invocations": 0, "calls": 0, "paths": 0}
    for trace, paths in re.findall(r"^\| (\w+) \| auto \| ([\d,]+) \|", text, re.MULTILINE):
        with gzip.open(ROOT / f"tests/planner/{trace}.jsonl.gz", "rt") as lines:
            for line in lines:
                deploy = json.loads(line)
                load["changes"] += len({*deploy["put"], *deploy["delete"]})
                load["invocations"] += 1
                load["calls"] += 1
        load["paths"] += number(paths)
    if not load["changes"]:
        raise Error("docs/how-paths-are-chosen.md has no table of recorded deploys")
    return load


def results():
    """Returns what the last `make bench` measured."""
    try:
        return json.loads((ROOT / "benches/results.json").read_text())
    except FileNotFoundError as error:
        raise Error("benches/results.json is missing: run `make bench`") from error


def number(text):
    return float(text.replace(",", ""))


def simulated_load(changes, settings):
    """Returns a row of docs/limits.md with one named distribution: totals, or rates for each minute."""
    for line in (ROOT / "docs/limits.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[:3] == [changes, "1 named", settings]:
            messages, invocations = map(number, cells[3].split(" / "))
            files = re.match(r"[\d,]+(?= files)", changes)
            return {
                "changes": number(files[0]) if files else messages,
                "invocations": invocations,
                "calls": number(cells[4].split()[0]),
                "paths": number(cells[6]),
            }
    raise Error(f"docs/limits.md has no row {changes!r} with one named distribution and settings {settings!r}")


def computed():
    template = (ROOT / "template.yaml").read_text()
    memory = re.search(r"^  MemorySize:\n(?: {4}.*\n)*? {4}Default: (\d+)$", template, re.MULTILINE)
    if not memory:
        raise Error("template.yaml has no default of MemorySize")
    bench = Bench(results(), int(memory[1]))
    return [deploys(bench), loads(bench, recorded_deploys(), simulated_load)]


def with_tables(text, tables):
    """Returns the page with these tables in place of those with the same head."""
    lines = text.splitlines()
    for new in tables:
        if lines.count(new[0]) != 1:
            raise Error(f"docs/costs.md has not one table with the head {new[0]}")
        start = end = lines.index(new[0])
        while end < len(lines) and lines[end].startswith("|"):
            end += 1
        lines[start:end] = new
    return "\n".join(lines) + "\n"


def problems():
    """Returns what differs between the page and the figures."""
    try:
        if "placeholder" in results():
            return ["benches/results.json has placeholders: run `make bench` and `python3 tests/docs/costs.py --write`"]
        if with_tables(PAGE.read_text(), computed()) != PAGE.read_text():
            return ["the tables are not those of the measured figures: run `python3 tests/docs/costs.py --write`"]
    except Error as error:
        return [str(error)]
    except KeyError as error:
        return [f"benches/results.json lacks {error}: run `make bench`"]
    return []


def main():
    try:
        tables = computed()
        if sys.argv[1:] == ["--write"]:
            PAGE.write_text(with_tables(PAGE.read_text(), tables))
    except Error as error:
        sys.exit(str(error))
    print("\n\n".join("\n".join(lines) for lines in tables))


if __name__ == "__main__":
    main()
