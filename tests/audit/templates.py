"""Runs checkov on CloudFormation templates, with checkov.yaml.

usage: templates.py CHECKOV TEMPLATE...

checkov itself ends with 0 if it cannot read a template, or finds no resource. This script then fails.
"""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

checkov, *templates = sys.argv[1:]
with TemporaryDirectory() as folder:
    status = subprocess.run(
        [checkov, f"--config-file={Path(__file__).with_name('checkov.yaml')}", "--output=cli", "--output=json"]
        + [f"--output-file-path=console,{folder}/report.json", "--file", *templates]
    ).returncode
    # The summary is missing if checkov finds no resource.
    summary = json.loads(Path(folder, "report.json").read_text()).get("summary", {})
if summary.get("parsing_errors") != 0:
    sys.exit("checkov has not read all templates")
sys.exit(status)
