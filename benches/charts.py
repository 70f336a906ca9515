"""Draws the charts of the documentation from the results of the benchmarks. `make bench` runs it.

`charts.py planner` reads the medians that criterion wrote (`cargo bench --bench plan`), and writes
benches/planner.json and docs/planner.svg.
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, NullFormatter

ROOT = Path(__file__).resolve().parent.parent
CRITERION = ROOT / "target" / "criterion"
# Readable on the light and on the dark background of GitHub.
TEXT, GRID, LINE = "#7d8590", "#7d859040", "#7d8590"
COLORS = ["#2f81f7", "#db6d28", "#3fb950"]
LABELS = {"versions": "documentation in ten versions", "hashed": "a bundler's hashed files"}


def planner(criterion=CRITERION):
    """Milliseconds by benchmark, kind of keys and number of keys: the medians of criterion."""
    results = {}
    for file in sorted(Path(criterion).glob("*/*/*/new/estimates.json")):
        benchmark = json.loads((file.parent / "benchmark.json").read_text())
        median = json.loads(file.read_text())["median"]["point_estimate"] / 1e6
        kinds = results.setdefault(benchmark["group_id"], {})
        kinds.setdefault(benchmark["function_id"], {})[benchmark["value_str"]] = round(median, 3)
    if not results:
        sys.exit(f"{criterion} has no results: run `cargo bench --bench plan`")
    results = {
        group: {kind: dict(sorted(times.items(), key=lambda item: int(item[0]))) for kind, times in kinds.items()}
        for group, kinds in results.items()
    }
    (ROOT / "benches" / "planner.json").write_text(json.dumps(results, indent=1) + "\n")

    figure, axes = chart()
    curves = {kind: times for kind, times in results["plan"].items() if len(times) > 1}
    for color, (kind, times) in zip(COLORS, curves.items()):
        keys = [int(size) for size in times]
        axes.plot(keys, list(times.values()), "o-", color=color, ms=4, lw=1.6, label=LABELS.get(kind, kind))
    # It starts at the fastest of the curves.
    least = min(min(times.values()) for times in curves.values())
    first, last = min(keys), max(keys)
    axes.plot([first, last], [least, least * last / first], "--", color=LINE, lw=1, label="linear, for comparison")
    axes.set(xscale="log", yscale="log", xlabel="changed keys", ylabel="milliseconds")
    for axis in axes.xaxis, axes.yaxis:
        axis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,g}" if number < 1 else f"{number:,.0f}"))
        axis.set_minor_formatter(NullFormatter())
    legend = axes.legend(frameon=False, fontsize=9, labelcolor=TEXT)
    legend.set_in_layout(False)
    save(figure, "planner.svg")


def chart():
    """Returns an empty chart with a transparent background."""
    # Text stays text, and equal results give an equal file.
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "charts", "font.family": "sans-serif"})
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    figure.patch.set_alpha(0)
    axes.set_facecolor("none")
    axes.grid(color=GRID, lw=0.8)
    axes.tick_params(which="both", colors=TEXT, labelsize=9, length=0)
    for label in axes.xaxis.label, axes.yaxis.label:
        label.set(color=TEXT, size=10)
    for side in axes.spines:
        axes.spines[side].set_visible(side in ("bottom", "left"))
        axes.spines[side].set_color(LINE)
    return figure, axes


def save(figure, name):
    file = ROOT / "docs" / name
    figure.savefig(file, metadata={"Date": None})
    # matplotlib leaves white space at the ends of lines.
    file.write_text("\n".join(line.rstrip() for line in file.read_text().splitlines()) + "\n")
    print(file.relative_to(ROOT))


if __name__ == "__main__":
    charts = {"planner": planner}
    if sys.argv[1:2] == [] or sys.argv[1] not in charts:
        sys.exit(__doc__)
    charts[sys.argv[1]](*sys.argv[2:])
