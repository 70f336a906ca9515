"""Draws a deploy with `cf-invalidate` and steps of `make demo` in a terminal, as SVG pictures. `make terminal` runs it.

The programs run in a pseudo-terminal, with the local AWS of tests/local. pyte interprets what they write, as a terminal
does, and rich draws the screen. The description of a picture is its text, with which check.py compares README.md.

What is random or measured is replaced (FIXED), so that only a change of the programs changes the pictures.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import re
import struct
import sys
import tempfile
import termios
from hashlib import sha256
from io import StringIO
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import escape

import pyte
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/local"))

from local_aws import COMMAND_LINE, LocalAws, Progress, end_on_sigterm  # noqa: E402

BUCKET = "example-site"
ROWS = 1000  # more than the programs write, so that nothing scrolls away
OMITTED = "    \x1b[90m⋮\x1b[0m\r\n"

# The steps of the demo that are shown, and the one after the last.
STEPS = (
    "Upload my page.html",
    "Pipeline job with a misspelled parameter",
    "Upload a new version: the visitor",
    "Enable the event source mapping: after completion",
)
NEXT_STEP = "Verify: viewers get the objects"

# An id, also after the sequence that erases a line.
ID = r"(?:\b|(?<=\x1b\[2K))%s[0-9A-Z]{13}\b"

# What replaces the matches of a pattern, from the number of different ones before. An id keeps its length, so that lines
# are wrapped as they were.
FIXED = {
    # CloudFront chooses the ids of distributions and invalidations.
    ID % "E": lambda number: f"E{number + 2}EXAMPLE1ABCD",
    ID % "I": lambda number: f"I{number + 2}EXAMPLE5K8ZT",
    # The hash of a caller reference.
    r"(?<=cloudfront-invalidator-)[0-9a-f]{64}": lambda number: sha256(bytes([number])).hexdigest(),
    # Seconds until completion, and the ages of copies. Where their length can differ, nothing is aligned after them.
    r"(?<=completed after )\d+(?= s )": lambda _: "12",
    r"(?<=Hit      )\d(?= s )": lambda _: "5",
    r"(?<=Hit      )\d\d(?= s )": lambda _: "15",
    r"(?<=, Age: )\d+": lambda _: "9",
}

# A dark window is readable on a light page and on a dark one. The colors are those of GitHub's dark theme.
THEME = TerminalTheme(
    (13, 17, 23),
    (230, 237, 243),
    [(72, 79, 88), (255, 123, 114), (63, 185, 80), (210, 153, 34)]
    + [(88, 166, 255), (188, 140, 255), (57, 197, 207), (177, 186, 196)],
    [(139, 148, 158), (255, 161, 152), (86, 211, 100), (227, 179, 65)]
    + [(121, 192, 255), (210, 168, 255), (86, 212, 221), (255, 255, 255)],
)

# rich's own format loads a font, which GitHub blocks. Each text states its length, so any monospace font fits.
FORMAT = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{width}} {{height}}" role="img">
<title>{title}</title>
<desc>{description}</desc>
<style>
.{{unique_id}}-matrix {{{{ font: {{char_height}}px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace }}}}
.{{unique_id}}-title {{{{ font-family: system-ui, sans-serif }}}}
{{styles}}
</style>
<defs>
<clipPath id="{{unique_id}}-clip-terminal"><rect width="{{terminal_width}}" height="{{terminal_height}}"/></clipPath>
{{lines}}
</defs>
{{chrome}}
<g transform="translate({{terminal_x}}, {{terminal_y}})" clip-path="url(#{{unique_id}}-clip-terminal)">
{{backgrounds}}
<g class="{{unique_id}}-matrix">{{matrix}}</g>
</g>
</svg>
"""


class Terminal:
    """A screen, on which programs write one after the other."""

    def __init__(self, columns: int, directory: Path, settings: dict[str, str]) -> None:
        self._columns = columns
        self._directory = directory
        self._settings = settings
        self._screen = pyte.Screen(columns, ROWS)
        self._stream = pyte.Stream(self._screen)
        self._prompt = "\x1b[1;32m$\x1b[0m"
        self._fixed: dict[str, dict[str, str]] = {pattern: {} for pattern in FIXED}

    def show(self, command: str, exit_code: int = 0) -> None:
        """Runs a command of the shell, and writes it and what it writes."""
        self.write_command(command)
        self.write(self.run(["sh", "-c", command], exit_code))

    def write_command(self, command: str) -> None:
        """Writes a prompt and a command, after an empty line."""
        self.write(f"{self._prompt} \x1b[1m{command}\x1b[0m\r\n")
        self._prompt = "\r\n\x1b[1;32m$\x1b[0m"

    def write(self, text: str) -> None:
        """Writes what a program has written, with fixed texts in the place of those that differ in each run."""
        for pattern, fixed in FIXED.items():
            known = self._fixed[pattern]
            for match in re.findall(pattern, text):
                known.setdefault(match, fixed(len(known)))
            text = re.sub(pattern, lambda match: known[match[0]], text)
        self._stream.feed(text)

    def run(self, program: list[str], exit_code: int = 0, until: str | None = None) -> str:
        """Runs a program, which must have this exit code; returns what it writes.

        With `until`, the program is stopped by Ctrl-C at this text, and what it writes from there on is left out.
        """
        process, terminal = pty.fork()
        if process == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, self._columns, 0, 0))
            os.chdir(self._directory)
            os.execvpe(program[0], program, os.environ | self._settings)
        written, end = b"", None
        while chunk := read(terminal):
            written += chunk
            if until and end is None and until.encode() in written:
                end = written.index(until.encode())
                os.write(terminal, b"\x03")
        os.close(terminal)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        if code != exit_code:
            sys.exit(f"{program} exited with {code}, not {exit_code}:\n{written.decode()}")
        return written[:end].decode()

    def lines(self) -> list[Text]:
        """Returns the lines of the screen."""
        lines = [self._line(row) for row in range(self._screen.cursor.y + 1)]
        return lines if lines[-1].plain else lines[:-1]

    def _line(self, row: int) -> Text:
        cells = [self._screen.buffer[row][column] for column in range(self._columns)]
        text = Text()
        for (color, bold), group in groupby(cells, lambda cell: (cell.fg, cell.bold)):
            # pyte and rich name some colors differently.
            name = None if color == "default" else color.replace("brown", "yellow").replace("bright", "bright_")
            text.append("".join(cell.data for cell in group), Style(color=name, bold=bold))
        text.rstrip()
        return text


def read(terminal: int) -> bytes:
    """Reads what the program has written; nothing if it has ended, which Linux reports as an error."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def draw(name: str, title: str, lines: list[Text], columns: int) -> None:
    """Writes a picture of the lines into docs/."""
    console = Console(record=True, width=columns, file=StringIO(), force_terminal=True, color_system="standard")
    for line in lines:
        console.print(line, no_wrap=True, crop=False)
    # rich replaces names in braces.
    texts = [escape(text).replace("{", "{{").replace("}", "}}") for text in (title, "\n".join(map(str, lines)))]
    code_format = FORMAT.format(title=texts[0], description=texts[1])
    svg = console.export_svg(title=title, theme=THEME, code_format=code_format, unique_id="t")
    file = ROOT / "docs" / name
    file.write_text(re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE), encoding="utf-8")
    print(file.relative_to(ROOT))


def create_site(aws: LocalAws) -> str:
    """Creates a public bucket and its distribution; returns the distribution's id."""
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.delete_public_access_block(Bucket=BUCKET)
    reads = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [reads]}))
    origin = {
        "Id": "bucket",
        "DomainName": f"{BUCKET}.s3.amazonaws.com",
        "S3OriginConfig": {"OriginAccessIdentity": ""},
    }
    configuration = {
        "CallerReference": "site",
        "Comment": "site",
        "Enabled": True,
        "Aliases": {"Quantity": 1, "Items": ["www.example.com"]},
        "DefaultRootObject": "index.html",
        "Origins": {"Quantity": 1, "Items": [origin]},
        "DefaultCacheBehavior": {
            "TargetOriginId": "bucket",
            "ViewerProtocolPolicy": "redirect-to-https",
            "CachePolicyId": "658327ea-f89d-4fab-a63d-7e88639e58f6",  # CachingOptimized, managed by AWS
        },
    }
    created = aws.client("cloudfront").create_distribution(DistributionConfig=configuration)
    return created["Distribution"]["Id"]


def draw_deploy(aws: LocalAws, directory: Path) -> None:
    """Draws a deploy of two changed pages and a new hashed file, whose old copies the edge has."""
    columns = 114
    distribution = create_site(aws)
    programs, public = directory / "bin", directory / "site/public"
    programs.mkdir()
    (programs / "cf-invalidate").symlink_to(COMMAND_LINE)
    (programs / "aws").symlink_to(Path(sys.executable).parent / "aws")
    settings = {
        "PATH": f"{programs}:/usr/bin:/bin",
        "TERM": "xterm-256color",
        "LC_ALL": "C",  # for sort
        **aws.command_line_settings(),
    }
    terminal = Terminal(columns, directory / "site", settings)

    public.mkdir(parents=True)
    for page in ("index.html", "about us.html"):
        (public / page).write_text("version 1", encoding="utf-8")
    terminal.run(["aws", "s3", "sync", "public", f"s3://{BUCKET}"])
    terminal.run(["cf-invalidate", "verify", "-d", distribution, "/", "/about%20us.html"])

    # The AWS CLI compares sizes first.
    for page in ("index.html", "about us.html"):
        (public / page).write_text("the second version", encoding="utf-8")
    (public / "_astro").mkdir()
    (public / "_astro/page.DRf8L97S.css").write_text("body {}", encoding="utf-8")
    verify = "cf-invalidate verify --from-s3-sync changes.txt --site public"
    terminal.show(f"aws s3 sync public s3://{BUCKET} --delete --no-progress > changes.txt")
    # The AWS CLI uploads in parallel, so the order differs.
    terminal.show("sort changes.txt")
    terminal.show(verify, exit_code=6)
    terminal.show("cf-invalidate create --from-s3-sync changes.txt --wait")
    terminal.show(verify)
    draw("deploy.svg", "cf-invalidate", terminal.lines(), columns)


def draw_demo(venvs: Path, directory: Path) -> None:
    """Draws some steps of the demo, which is stopped at the step after the last of them."""
    columns = 116
    terminal = Terminal(columns, directory, {"TERM": "xterm-256color"})
    program = [str(venvs / "tools/bin/python"), "-B", str(ROOT / "tests/local/demo.py"), "--venvs", str(venvs)]
    written = terminal.run(program, exit_code=130, until=NEXT_STEP)
    # The builds before it are left out: what they write depends on what is built already.
    terminal.write_command("make demo")
    is_shown = True
    for step in re.split(r"^(?=[ \d]+  \x1b\[1m)", written, flags=re.MULTILINE):
        was_shown, is_shown = is_shown, step.partition("\x1b[1m")[2].startswith(STEPS)
        if is_shown:
            terminal.write(step)
        elif was_shown:
            terminal.write(OMITTED)
    draw("demo.svg", "make demo", terminal.lines(), columns)


def main() -> int:
    """Draws all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--venvs", type=Path, default=Path("target/venvs"), help="directory of the virtual environments"
    )
    options = parser.parse_args()
    end_on_sigterm()
    with tempfile.TemporaryDirectory() as directory:
        with LocalAws(options.venvs, Progress()) as aws:
            draw_deploy(aws, Path(directory))
        draw_demo(options.venvs.absolute(), Path(directory))
    return 0


if __name__ == "__main__":
    sys.exit(main())
