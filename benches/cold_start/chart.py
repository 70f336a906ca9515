#!/usr/bin/env python3
"""Draws docs/cold-start.svg from benches/results.json: init and first invoke of each variant with a pipeline job.

To look at it, give the name of a PNG file; a name with "dark" has GitHub's dark background.
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benches/results.json"
CHART = ROOT / "docs/cold-start.svg"
# Readable on GitHub's white and on its black background; the picture itself has none.
TEXT, GRID = "#768390", "#76839055"
INIT, INVOKE = "#8b949e", "#1f8feb"


def main():
    results = json.loads(RESULTS.read_text())
    table = next(table for table in results["tables"] if table["event"] == "Pipeline job")
    rows = table["rows"][::-1]
    names = [row["variant"] for row in rows]
    init = [row["init_ms"] for row in rows]
    first = [row["first_ms"] for row in rows]

    matplotlib.rcParams.update({
        "svg.fonttype": "none",  # text stays text
        "svg.hashsalt": "cold-start",  # the same figures give the same file
        "font.family": "sans-serif",
        "font.sans-serif": ["-apple-system", "Segoe UI", "Helvetica", "Arial", "DejaVu Sans"],
        "text.color": TEXT,
        "axes.labelcolor": TEXT,
        "xtick.color": TEXT,
        "ytick.color": TEXT,
    })
    figure, axes = pyplot.subplots(figsize=(7.6, 0.5 * len(rows) + 1.2), layout="constrained")
    axes.barh(names, init, color=INIT, height=0.55, label="init")
    axes.barh(names, first, left=init, color=INVOKE, height=0.55, label="first invoke")
    for position, row in enumerate(rows):
        axes.annotate(
            f" {row['sum_ms']:.3g} ms", (row["init_ms"] + row["first_ms"], position), va="center", color=TEXT
        )
    axes.set_xlim(0, max(row["sum_ms"] for row in rows) * 1.12)
    axes.set_xlabel("milliseconds until a pipeline job is done, on one machine without network delay")
    axes.xaxis.grid(True, color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    figure.legend(loc="outside upper right", ncols=2, frameon=False, labelcolor=TEXT)
    figure.savefig(CHART, transparent=True, metadata={"Date": None, "Title": "Cold start with a pipeline job"})
    if len(sys.argv) > 1:
        axes.set_facecolor("none")
        figure.savefig(sys.argv[1], dpi=110, facecolor="#0d1117" if "dark" in sys.argv[1] else "white")


if __name__ == "__main__":
    main()
