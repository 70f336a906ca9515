#!/usr/bin/env python3
"""Scores a path planner on real deploys.

usage: score.py TRACE.jsonl.gz BUDGET COMMAND [ARG ...]
       score.py --table [PLANNER]

For each deploy the command gets the changed object keys on standard input, one a line, and prints
one JSON object with a list "paths": invalidation paths, at most BUDGET of them. In an argument,
"{budget}" becomes the number and "{inventory}" a file with every key that may be cached, one a
line. Every path is percent-decoded before it is matched.

missed      changed objects that no path covers (must be 0)
over        deploys with more than BUDGET paths (must be 0)
paths       paths billed, all deploys together
collateral  objects that did not change and lose their cached copy all the same
optimum     the least collateral that any planner could reach with the same budget, knowing every
            object of the site and free to use any prefix

--table scores the project's planner, blind and with the inventory, on both traces with budgets of 8
and 15, and prints the table of src/plan/collapse.rs. It fails where a figure is worse than demanded:
nothing missed, no budget broken, less collateral than the peer's when blind, at most 1.2 times the
optimum on kafka, the optimum itself with the inventory.
"""
import bisect, gzip, json, os, subprocess, sys, tempfile
from urllib.parse import unquote

sys.setrecursionlimit(1_000_000)
INFINITE = 10**9
HERE = os.path.dirname(os.path.abspath(__file__))
PLANNER = os.path.join(HERE, "../../target/release/examples/plan")
# The collateral of s3deploy's algorithm, the best of the peers, on the same traces.
PEER = {("hexo", 8): 237_262, ("hexo", 15): 132_494, ("kafka", 8): 209_655, ("kafka", 15): 76_902}


def deploys(trace):
    """Yields (changed keys, every key that may be cached), both sorted."""
    site = set()
    with gzip.open(trace, "rt") as lines:
        for line in lines:
            deploy = json.loads(line)
            before = set(site)
            site |= set(deploy["put"])
            site -= set(deploy["delete"])
            yield sorted({*deploy["put"], *deploy["delete"]}), sorted(before | site)


def span(keys, prefix):
    """The half-open range of sorted keys that start with prefix."""
    return bisect.bisect_left(keys, prefix), bisect.bisect_left(keys, prefix + "\U0010ffff")


def covered(paths, keys):
    hit = set()
    for path in map(unquote, paths):
        if path.endswith("*"):
            low, high = span(keys, path[1:-1])
            hit.update(keys[low:high])
        else:
            hit.add(path[1:])
    return hit


def optimum(changed, keys, budget):
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
        cut = min(shared[low:high])
        parts, start = [], low
        for i in range(low, high):
            if shared[i] == cut:
                parts.append((start, i))
                start = i + 1
        parts.append((start, high))
        best = [0] + [INFINITE] * budget
        for part in parts:
            best = merge(best, least(*part))
        first, last = span(keys, changed[low][:cut])
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


def score(trace, budget, *commands):
    """Returns a total for each of the commands; the optimum is reckoned once."""
    totals = [dict.fromkeys(("deploys", "changed", "paths", "over", "missed", "collateral", "optimum"), 0) for _ in commands]
    for changed, keys in deploys(trace):
        least = optimum(changed, keys, budget)
        for total, command in zip(totals, commands):
            paths = plan([word.replace("{budget}", str(budget)) for word in command], changed, keys)
            hit = covered(paths, keys)
            total["deploys"] += 1
            total["changed"] += len(changed)
            total["paths"] += len(paths)
            total["over"] += len(paths) > budget
            total["missed"] += len(set(changed) - hit)
            total["collateral"] += len((hit & set(keys)) - set(changed))
            total["optimum"] += least
    return totals


def demanded(site, budget, blind, known):
    """Yields what is worse than it must be."""
    for total in (blind, known):
        if total["missed"] or total["over"]:
            yield f"{site} at {budget}: {total['missed']} missed, {total['over']} over budget"
    if blind["collateral"] >= PEER[site, budget]:
        yield f"{site} at {budget}: blind, no better than the peer"
    if site == "kafka" and blind["collateral"] > 1.2 * blind["optimum"]:
        yield f"{site} at {budget}: blind, more than 1.2 times the optimum"
    if known["collateral"] != known["optimum"]:
        yield f"{site} at {budget}: not the optimum with the inventory"


def table(planner):
    blind = [planner, "--max-paths", "{budget}", "--max-wildcards", "{budget}"]
    print("| trace | budget | peer | blind | with inventory | optimum | paths billed: blind | with inventory |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    worse = []
    for site, budget in PEER:
        trace = os.path.join(HERE, f"{site}.jsonl.gz")
        a, b = score(trace, budget, blind, [*blind, "--inventory", "{inventory}"])
        figures = PEER[site, budget], a["collateral"], b["collateral"], a["optimum"], a["paths"], b["paths"]
        print(f"| {site} | {budget} |", " | ".join(f"{figure:,}" for figure in figures), "|", flush=True)
        worse += demanded(site, budget, a, b)
    sys.exit("\n".join(worse) or 0)


def main():
    if sys.argv[1:2] == ["--table"]:
        table(*sys.argv[2:3] or [PLANNER])
    elif len(sys.argv) < 4:
        sys.exit(__doc__)
    else:
        print(json.dumps(*score(sys.argv[1], int(sys.argv[2]), sys.argv[3:])))


main()
