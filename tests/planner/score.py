#!/usr/bin/env python3
"""Scores a path planner on recorded deploys.

usage: score.py TRACE.jsonl.gz BUDGET COMMAND [ARG ...]
       score.py --table [PLANNER]

For each deploy, the command reads the changed object keys from standard input, one per line, and
prints one JSON object with a list "paths" of at most BUDGET invalidation paths. In an argument,
"{budget}" is replaced by the number and "{inventory}" by a file with every key that can be cached,
one per line. Every path is percent-decoded before it is compared.

missed      changed objects that no path covers (must be 0). A file below _next/static/ that the
            deploy creates or deletes needs no path, because its name changes with its content; one
            that the deploy overwrites does
skipped     these files, if no path covers them
over        deploys with more than BUDGET paths (must be 0)
paths       paths billed for all deploys
evicted     unchanged objects that are invalidated
hashed      objects below _next/static/ that are invalidated, changed or not
optimum     the least possible number of evicted objects with the same budget, for a planner that has
            every key of the site and can use any prefix

--table scores the project's planner and prints two tables. It fails unless all requirements hold:
no object is missed and no budget is exceeded anywhere, and what follows for each table.

1. Hexo and kafka with budgets of 8 and 15, without the inventory ("blind") and with it: the table of
   src/plan/collapse.rs. Without the inventory, fewer objects are evicted than by the peer, and on
   kafka at most 1.2 times the optimum. With the inventory, it is the optimum.
2. All traces with 20 paths and 10 wildcards, without the inventory: the table of
   docs/how-paths-are-chosen.md. Without immutable paths, nothing is skipped. With them, next needs
   at most 2,900 paths, and evicts at most 300 objects and none with a hash in its name; hexo and
   kafka have no immutable paths, so nothing changes.
"""
import bisect, gzip, json, os, subprocess, sys, tempfile
from typing import NamedTuple
from urllib.parse import unquote

sys.setrecursionlimit(1_000_000)
INFINITE = 10**9
HERE = os.path.dirname(os.path.abspath(__file__))
PLANNER = os.path.join(HERE, "../../target/release/examples/plan")
# The collateral of s3deploy's algorithm, the best of the peers, on the same traces.
PEER = {("hexo", 8): 237_262, ("hexo", 15): 132_494, ("kafka", 8): 209_655, ("kafka", 15): 76_902}
# The limits of the second table: the defaults of the stack.
PATHS, WILDCARDS = 20, 10
VARIANTS = {
    "none": ["--immutable", "none"],
    "auto": ["--immutable", "auto"],
    "auto, economy 0.1": ["--immutable", "auto", "--economy", "0.1"],
}
# The names of the files below it contain a hash of their content, or the id of the build.
HASHED = "_next/static/"


class Deploy(NamedTuple):
    changed: list[str]
    """Sorted."""
    keys: list[str]
    """Every key that can be cached: those from before the deploy and those after it. Sorted."""
    immutable: set[str]
    """Changed keys that need no path: new content has a new name."""


def deploys(trace):
    """Yields each deploy. What needs no path is derived from the trace alone, not from the planner."""
    site = set()
    with gzip.open(trace, "rt") as lines:
        for line in lines:
            deploy = json.loads(line)
            before, deleted = set(site), set(deploy["delete"])
            changed = deleted.union(deploy["put"])
            site |= changed
            site -= deleted
            immutable = {key for key in changed - (before - deleted) if key.startswith(HASHED)}
            yield Deploy(sorted(changed), sorted(before | site), immutable)


def span(keys, prefix):
    """Returns the half-open range of the sorted keys that start with the prefix."""
    return bisect.bisect_left(keys, prefix), bisect.bisect_left(keys, prefix + "\U0010ffff")


def covered(paths, keys):
    """Returns the keys that the paths cover."""
    found = set()
    for path in map(unquote, paths):
        if path.endswith("*"):
            low, high = span(keys, path[1:-1])
            found.update(keys[low:high])
        else:
            found.add(path[1:])
    return found


def optimum(changed, keys, budget):
    """Returns the least possible number of evicted objects."""
    if len(changed) <= budget:
        return 0
    shared = []
    for a, b in zip(changed, changed[1:]):
        n = 0
        while n < min(len(a), len(b)) and a[n] == b[n]:
            n += 1
        shared.append(n)

    def merge(a, b):
        best = [INFINITE] * (budget + 1)
        for i, x in enumerate(a):
            if x < INFINITE:
                for j, y in enumerate(b[: budget + 1 - i]):
                    best[i + j] = min(best[i + j], x + y)
        return best

    def least(low, high):
        if low == high:
            return [INFINITE, 0] + [INFINITE] * (budget - 1)
        depth = min(shared[low:high])
        parts, start = [], low
        for i in range(low, high):
            if shared[i] == depth:
                parts.append((start, i))
                start = i + 1
        parts.append((start, high))
        best = [0] + [INFINITE] * budget
        for part in parts:
            best = merge(best, least(*part))
        first, last = span(keys, changed[low][:depth])
        best[1] = min(best[1], last - first - (high - low + 1))
        for i in range(2, budget + 1):
            best[i] = min(best[i], best[i - 1])
        return best

    return min(least(0, len(changed) - 1)[1:])


def plan(command, changed, keys):
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as inventory:
        if any("{inventory}" in word for word in command):
            inventory.write("\n".join(keys))
            inventory.flush()
            command = [word.replace("{inventory}", inventory.name) for word in command]
        run = subprocess.run(command, input="\n".join(changed), capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"exit {run.returncode} on a deploy of {len(changed)} keys: {run.stderr[-400:]}")
    return json.loads(run.stdout)["paths"]


def score(trace, budget, *commands, with_optimum=True):
    """Returns the totals of each command; the optimum is calculated once."""
    names = ["deploys", "changed", "paths", "over", "missed", "skipped", "evicted", "hashed"]
    names += ["optimum"] if with_optimum else []
    totals = [dict.fromkeys(names, 0) for _ in commands]
    for changed, keys, immutable in deploys(trace):
        least = optimum(changed, keys, budget) if with_optimum else 0
        for total, command in zip(totals, commands):
            paths = plan([word.replace("{budget}", str(budget)) for word in command], changed, keys)
            invalidated = covered(paths, keys)
            not_covered = set(changed) - invalidated
            lost = invalidated & set(keys)
            total["deploys"] += 1
            total["changed"] += len(changed)
            total["paths"] += len(paths)
            total["over"] += len(paths) > budget
            total["missed"] += len(not_covered - immutable)
            total["skipped"] += len(not_covered & immutable)
            total["evicted"] += len(lost - set(changed))
            total["hashed"] += sum(key.startswith(HASHED) for key in lost)
            if with_optimum:
                total["optimum"] += least
    return totals


def trace_of(site):
    return os.path.join(HERE, f"{site}.jsonl.gz")


def row(*cells):
    print("|", " | ".join(f"{cell:,}" if isinstance(cell, int) else cell for cell in cells), "|", flush=True)


def failures(name, total):
    """Yields a message for each figure that must be 0."""
    for figure in "missed", "over":
        if total[figure]:
            yield f"{name}: {total[figure]} {figure}"


def shortfalls(site, budget, blind, with_inventory):
    """Yields a message for each figure of the first table that is worse than required."""
    name = f"{site} at {budget}"
    yield from failures(name, blind)
    yield from failures(name, with_inventory)
    if blind["evicted"] >= PEER[site, budget]:
        yield f"{name}: blind, not better than the peer"
    if site == "kafka" and blind["evicted"] > 1.2 * blind["optimum"]:
        yield f"{name}: blind, more than 1.2 times the optimum"
    if with_inventory["evicted"] != with_inventory["optimum"]:
        yield f"{name}: with the inventory, not the optimum"


def peer_table(planner):
    """Prints the first table, and yields what is worse than required."""
    blind = [planner, "--max-paths", "{budget}", "--max-wildcards", "{budget}"]
    row("trace", "budget", "peer", "blind", "with inventory", "optimum", "paths billed: blind", "with inventory")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for site, budget in PEER:
        a, b = score(trace_of(site), budget, blind, [*blind, "--inventory", "{inventory}"])
        row(site, budget, PEER[site, budget], a["evicted"], b["evicted"], a["optimum"], a["paths"], b["paths"])
        yield from shortfalls(site, budget, a, b)


def immutable_shortfalls(site, totals):
    """Yields a message for each figure of the second table that is worse than required."""
    for variant, total in totals.items():
        yield from failures(f"{site}, {variant}", total)
    none, auto = totals["none"], totals["auto"]
    if none["skipped"]:
        yield f"{site}, none: {none['skipped']} skipped"
    if site != "next":
        if auto != none:
            yield f"{site}: auto differs from none"
        return
    for figure, most in ("paths", 2_900), ("evicted", 300), ("hashed", 0):
        if auto[figure] > most:
            yield f"{site}, auto: {auto[figure]:,} {figure}, more than {most:,}"


def immutable_table(planner):
    """Prints the second table, and yields what is worse than required."""
    planner = [planner, "--max-paths", "{budget}", "--max-wildcards", str(WILDCARDS)]
    commands = [[*planner, *options] for options in VARIANTS.values()]
    row("trace", "variant", "paths billed", "evicted", "hashed evicted", "missed")
    print("|---|---|---:|---:|---:|---:|")
    for site in "next", "hexo", "kafka":
        totals = dict(zip(VARIANTS, score(trace_of(site), PATHS, *commands, with_optimum=False)))
        for variant, total in totals.items():
            row(site, variant, *(total[figure] for figure in ("paths", "evicted", "hashed", "missed")))
        yield from immutable_shortfalls(site, totals)


def table(planner):
    worse = list(peer_table(planner))
    print()
    worse += immutable_table(planner)
    sys.exit("\n".join(worse) or 0)


def main():
    if sys.argv[1:2] == ["--table"]:
        table(*sys.argv[2:3] or [PLANNER])
    elif len(sys.argv) < 4:
        sys.exit(__doc__)
    else:
        print(json.dumps(*score(sys.argv[1], int(sys.argv[2]), sys.argv[3:])))


main()
