"""Draws the dashboard of template.yaml with sample data (sample_data.py) as docs/dashboard.png. `make picture` runs it.

The widgets, their places, titles, metrics, labels and colors are those of the dashboard's JSON. The picture contains the
hash of this JSON, so that check.py reports a dashboard that has changed since.
"""

import re
import textwrap

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from cloudformation import Stack
from dashboard import COLUMNS, PICTURE, SAMPLE, body, digest, metrics
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import MaxNLocator

import sample_data

# Pixels.
COLUMN, ROW, MARGIN, GAP, HEADER = 66, 42, 12, 8, 46

BACKGROUND, BORDER, TEXT, FAINT, LINK = "#f2f3f3", "#d5dbdb", "#16191f", "#687078", "#0073bb"
LINE = 1.35  # the distance of lines, relative to the size of the text
PALETTE = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd"]
UNITS = {"FreshnessLag": "Seconds", "ApproximateAgeOfOldestMessage": "Seconds", "Duration": "Milliseconds"}


class Picture:
    def __init__(self, stack, dashboard):
        self.stack = stack
        self.dashboard = dashboard
        rows = max(widget["y"] + widget["height"] for widget in dashboard["widgets"])
        self.width, self.height = COLUMNS * COLUMN + 2 * MARGIN, rows * ROW + 2 * MARGIN + HEADER
        self.figure = plt.figure(figsize=(self.width / 100, self.height / 100), dpi=100, facecolor=BACKGROUND)
        self.page = self.figure.add_axes((0, 0, 1, 1))
        self.page.set(xlim=(0, self.width), ylim=(self.height, 0))
        self.page.axis("off")

    def text(self, x, y, text, size=10, color=TEXT, **options):
        # Sizes are in pixels; matplotlib's are points of 1/72 inch.
        for number, line in enumerate(text.split("\n")):
            baseline = y + size + number * size * LINE
            self.page.text(x, baseline, line, fontsize=size * 0.72, color=color, va="baseline", **options)

    def draw(self):
        name = self.stack.reference("OperationsDashboard")
        self.text(MARGIN + 4, 14, name, 20, weight="bold")
        note = f"Sample data. Time range: {self.dashboard['start'].removeprefix('-P').lower()}"
        self.text(self.width - MARGIN - 4, 18, note, 13, FAINT, ha="right")
        for widget in self.dashboard["widgets"]:
            left, top = MARGIN + widget["x"] * COLUMN + GAP / 2, HEADER + MARGIN + widget["y"] * ROW + GAP / 2
            width, height = widget["width"] * COLUMN - GAP, widget["height"] * ROW - GAP
            style = "round,pad=0,rounding_size=6"
            self.page.add_patch(FancyBboxPatch((left, top), width, height, style, fc="white", ec=BORDER, lw=0.8))
            properties = widget["properties"]
            if title := properties.get("title"):
                self.text(left + 12, top + 10, title, 14, weight="bold")
            views = {
                "alarm": self.alarm,
                "text": self.markdown,
                "singleValue": self.single_value,
                "table": self.table,
                "timeSeries": self.time_series,
            }
            views[properties.get("view", widget["type"])](widget, left, top, width, height)
        self.figure.savefig(PICTURE, metadata={"Software": None, "Dashboard": digest(self.dashboard)})

    def single_value(self, widget, left, top, width, height):
        values = list(metrics(widget))
        columns = 1 if len(values) == 1 else 2
        rows = -(-len(values) // columns)
        for index, (_, name, dimensions, options) in enumerate(values):
            x = left + 16 + index % columns * (width - 16) / columns
            y = top + 36 + index // columns * (height - 36) / rows
            statistic = options.get("stat") or widget["properties"].get("stat")
            number = sample_data.total(name, dimensions, statistic, widget["properties"].get("start"))
            middle = (height - 36) / rows / 2
            self.page.plot([x + 5], [y + middle - 26], "s", color=options.get("color", PALETTE[index]), ms=7)
            self.text(x + 16, y + middle - 34, options["label"], 13, FAINT)
            unit = {"Seconds": " s"}.get(UNITS.get(name), "")
            self.text(x, y + middle - 12, f"{number:,.0f}{unit}", 34)

    def time_series(self, widget, left, top, width, height):
        properties = widget["properties"]
        values = list(metrics(widget))
        legend = 22 * -(-len(values) // self.legend_columns(values, width))
        bottom = top + height - 28 - legend
        box = (left + 48, bottom, width - 64, bottom - top - 58)
        axes = self.figure.add_axes((box[0] / self.width, 1 - box[1] / self.height, box[2] / self.width, box[3] / self.height))
        hours = [period / 12 for period in range(sample_data.PERIODS)]
        highest = 0
        for index, (_, name, dimensions, options) in enumerate(values):
            statistic = options.get("stat") or properties.get("stat")
            numbers = [float("nan") if number is None else number for number in sample_data.series(name, dimensions, statistic)]
            sparse = any(number != number for number in numbers)
            color = options.get("color", PALETTE[index])
            axes.plot(hours, numbers, color=color, lw=1.3, marker="o" if sparse else None, ms=2.4, clip_on=False)
            highest = max([highest, *(number for number in numbers if number == number)])
        for line in properties.get("annotations", {}).get("horizontal", []):
            axes.axhline(line["value"], color=line["color"], lw=1, ls="--")
            axes.annotate(line["label"], (23.8, line["value"]), ha="right", va="bottom", fontsize=8, color=line["color"])
            highest = max(highest, line["value"])
        axes.set(xlim=(0, 24), ylim=(properties["yAxis"]["left"]["min"], max(1, highest * 1.12)))
        axes.set_xticks(range(0, 25, 4), [f"{hour % 24:02}:00" for hour in range(0, 25, 4)])
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.yaxis.set_major_formatter(lambda number, _: f"{number / 1000:g}k" if number >= 1000 else f"{number:g}")
        axes.tick_params(labelsize=8, colors=FAINT, length=0)
        axes.grid(axis="y", color="#eaeded", lw=0.8)
        axes.set_axisbelow(True)
        axes.set_facecolor("none")
        for side in axes.spines:
            axes.spines[side].set_visible(side == "bottom")
            axes.spines[side].set_color(BORDER)
        units = {UNITS.get(name, "Count") for _, name, _, _ in values}
        self.text(left + 12, top + 32, ", ".join(sorted(units)), 11, FAINT)
        self.legend(values, left, bottom + 26, width)

    def legend_columns(self, values, width):
        """Returns how many labels fit side by side."""
        longest = max(len(options["label"]) for _, _, _, options in values)
        return max(1, min(len(values), int((width - 20) // (longest * 6.4 + 28))))

    def legend(self, values, left, top, width):
        columns = self.legend_columns(values, width)
        x, y = left + 12, top
        for index, (_, _, _, options) in enumerate(values):
            if index and index % columns == 0:
                x, y = left + 12, y + 22
            self.page.plot([x + 5], [y + 8], "s", color=options.get("color", PALETTE[index]), ms=6)
            self.text(x + 15, y, options["label"], 12)
            x += len(options["label"]) * 6.4 + 36

    def table(self, widget, left, top, width, height):
        """The result of a query of Logs Insights."""
        (columns,) = re.findall(r"\| fields ([^|]*?) \|", widget["properties"]["query"])
        columns = columns.split(", ")
        rows = [columns, *sample_data.LOG]
        if any(len(row) != len(columns) for row in rows):
            raise ValueError("the sample lines have other fields than the query")
        widths = [max(len(row[index]) for row in rows) * 6.6 + 18 for index in range(len(columns) - 1)]
        y = top + 38
        for number, row in enumerate(rows):
            x, lines = left + 12, 1
            color, weight = (FAINT, "bold") if number == 0 else (TEXT, "normal")
            for index, cell in enumerate(row):
                room = widths[index] if index < len(widths) else left + width - 12 - x
                wrapped = textwrap.wrap(cell, int(room / 6.6), max_lines=4, placeholder=" …")
                lines = max(lines, len(wrapped))
                self.text(x, y, "\n".join(wrapped), 12, color, weight=weight)
                x += room
            y += lines * 12 * LINE + 12
            if y < top + height:
                self.page.plot([left + 12, left + width - 12], [y - 8, y - 8], color="#eaeded", lw=0.8)
        if y - 10 > top + height:
            raise ValueError("the sample lines need more room than the widget has")

    def alarm(self, widget, left, top, width, height):
        alarms = widget["properties"]["alarms"]
        columns = -(-len(alarms) // 2)
        room = (width - 16) / columns
        for index, arn in enumerate(alarms):
            # CloudFormation puts the stack's name before the logical id, and a suffix after it.
            name = arn.split(":")[-1].split("-")[-2]
            color, state = ("#d13212", "In alarm") if name == sample_data.ALARM else ("#1d8102", "OK")
            x, y = left + 8 + index % columns * room, top + 36 + index // columns * 38
            style = "round,pad=0,rounding_size=3"
            self.page.add_patch(FancyBboxPatch((x + 4, y), room - 8, 32, style, fc="#fafafa", ec=BORDER, lw=0.8))
            self.page.add_patch(FancyBboxPatch((x + 4, y), 5, 32, "square,pad=0", fc=color, ec="none"))
            self.text(x + 18, y + 9, name, 12.5)
            self.text(x + room - 14, y + 9, state, 12.5, color, ha="right", weight="bold")

    def markdown(self, widget, left, top, width, height):
        markdown = widget["properties"]["markdown"].replace("`", "")
        self.text(left + 14, top + 12, textwrap.fill(markdown, int((width - 24) / 6.6)), 13)


def main():
    stack = Stack(**SAMPLE)
    Picture(stack, body(stack)).draw()
    print(PICTURE)


if __name__ == "__main__":
    main()
