#!/usr/bin/env python3
"""Scores a path planner on recorded deploys.

usage: score.py TRACE.jsonl.gz BUDGET COMMAND [ARG ...]
       score.py --table [PLANNER]

For each deploy, the command reads the changed object keys from standard input, one per line, and
prints one JSON object with a list "paths" of at most BUDGET invalidation paths. In an argument,
"{budget}" is replaced by the number and "{inventory}" by a file with every key that can be cached,
one per line. Every path is percent-decoded before it is compared.

missed      changed objects that no path covers (must be 0)
over        deploys with more than BUDGET paths (must be 0)
paths       paths billed for all deploys
collateral  unchanged objects that are invalidated
optimum     the least possible collateral with the same budget, for a planner that has every key of
            the site and can use any prefix

--table scores the project's planner on both traces with budgets of 8 and 15, without the inventory
("blind") and with it, and prints the table of src/plan/collapse.rs. It fails unless these hold: no
object is missed, no budget is exceeded, the collateral without the inventory is less than the peer's
and on kafka at most 1.2 times the optimum, and the collateral with the inventory is the optimum.
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
    """Yields (changed keys, every key that can be cached), both sorted."""
    site = set()
    with gzip.open(trace, "rt") as lines:
        for line in lines:
            deploy = json.loads(line)
            before = set(site)
            site |= set(deploy["put"])
            site -= set(deploy["delete"])
            yield sorted({*deploy["put"], *deploy["delete"]}), sorted(before | site)


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
    """Returns the least possible collateral."""
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


def score(trace, budget, *commands):
    """Returns the totals of each command; the optimum is calculated once."""
    totals = [dict.fromkeys(("deploys", "changed", "paths", "over", "missed", "collateral", "optimum"), 0) for _ in commands]
    for changed, keys in deploys(trace):
        least = optimum(changed, keys, budget)
        for total, command in zip(totals, commands):
            paths = plan([word.replace("{budget}", str(budget)) for word in command], changed, keys)
            invalidated = covered(paths, keys)
            total["deploys"] += 1
            total["changed"] += len(changed)
            total["paths"] += len(paths)
            total["over"] += len(paths) > budget
            total["missed"] += len(set(changed) - invalidated)
            total["collateral"] += len((invalidated & set(keys)) - set(changed))
            total["optimum"] += least
    return totals


def shortfalls(site, budget, blind, with_inventory):
    """Yields a message for each figure that is worse than required."""
    for total in (blind, with_inventory):
        if total["missed"] or total["over"]:
            yield f"{site} at {budget}: {total['missed']} missed, {total['over']} over budget"
    if blind["collateral"] >= PEER[site, budget]:
        yield f"{site} at {budget}: blind, not better than the peer"
    if site == "kafka" and blind["collateral"] > 1.2 * blind["optimum"]:
        yield f"{site} at {budget}: blind, more than 1.2 times the optimum"
    if with_inventory["collateral"] != with_inventory["optimum"]:
        yield f"{site} at {budget}: with the inventory, not the optimum"


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
        worse += shortfalls(site, budget, a, b)
    sys.exit("\n".join(worse) or 0)


def main():
    if sys.argv[1:2] == ["--table"]:
        table(*sys.argv[2:3] or [PLANNER])
    elif len(sys.argv) < 4:
        sys.exit(__doc__)
    else:
        print(json.dumps(*score(sys.argv[1], int(sys.argv[2]), sys.argv[3:])))


main()
