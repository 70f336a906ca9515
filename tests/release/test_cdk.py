"""Synthesizes examples/cdk with the templates of the stack archive, without a network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

from cfnlint.api import lint
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / ".github/release"))

import templates  # noqa: E402

INSTALLED = ROOT / "target/npm/cdk"  # by make
NODE = Path(sys.executable).parent  # Node.js is a package of the environment
CODE = b"the archive of the function"


class CdkTest(unittest.TestCase):
    maxDiff = None

    def test_a_stack_has_the_invalidator_of_the_archive_with_its_own_bucket_and_distribution(self) -> None:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            output = synthesize(folder)
            assets = json.loads((output / "Site.assets.json").read_text())["files"]
            contents = {
                file: (output / asset["source"]["path"]).read_bytes()
                for asset in assets.values()
                for file in [destination["objectKey"] for destination in asset["destinations"].values()]
            }
            stack = json.loads((output / "Site.template.json").read_text())
            template = (folder / "invalidator/template-s3.yaml").read_bytes()
        resources = stack["Resources"]
        invalidator = resources["Invalidator"]
        self.assertEqual(invalidator["Type"], "AWS::CloudFormation::Stack")
        properties = invalidator["Properties"]

        bucket, file = properties["TemplateURL"]["Fn::Sub"].rsplit("/", 2)[1:]
        self.assertEqual(contents[file], template)
        parameters = properties["Parameters"]
        self.assertEqual(parameters["CodeBucket"], {"Fn::Sub": bucket})
        self.assertEqual(contents[parameters["CodeKey"]], CODE)
        self.assertEqual(
            {name: resources[parameters[name]["Ref"]]["Type"] for name in ("DistributionId", "SourceBucket")},
            {"DistributionId": "AWS::CloudFront::Distribution", "SourceBucket": "AWS::S3::Bucket"},
        )

        released = yaml_parse(template)
        self.assertEqual(parameters.keys() - released["Parameters"].keys(), set())
        self.assertRegex(parameters["CodeKey"], released["Parameters"]["CodeKey"]["AllowedPattern"])
        without_default = {name for name, value in released["Parameters"].items() if "Default" not in value}
        self.assertEqual(without_default - parameters.keys(), set())
        (output_value,) = [value["Value"]["Fn::GetAtt"] for value in stack["Outputs"].values()]
        self.assertEqual(output_value[0], "Invalidator")
        self.assertIn(output_value[1].removeprefix("Outputs."), released["Outputs"])
        errors = [match for match in lint(json.dumps(stack), regions=["us-east-1"]) if match.rule.id.startswith("E")]
        self.assertEqual([str(error) for error in errors], [])


def synthesize(folder: Path) -> Path:
    """Runs `cdk synth` in a copy of the example; returns the folder of the output."""
    for name in ("cdk.json", "package.json", "site.ts"):
        shutil.copy(ROOT / "examples/cdk" / name, folder)
    (folder / "node_modules").symlink_to(INSTALLED / "node_modules")
    (folder / "invalidator").mkdir()
    templates.write("x86_64", folder / "invalidator")
    (folder / "invalidator/function.zip").write_bytes(CODE)
    # Nothing listens on the discard port.
    closed = {name: "http://127.0.0.1:9" for name in ("HTTP_PROXY", "HTTPS_PROXY")}
    result = subprocess.run(
        [str(folder / "node_modules/.bin/cdk"), "synth", "--quiet", "--no-notices"],
        cwd=folder,
        env={"PATH": os.pathsep.join([str(NODE), os.defpath]), "HOME": str(folder), **closed},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    if result.returncode:
        raise AssertionError(f"cdk synth exited with {result.returncode}:\n{result.stdout}")
    return folder / "cdk.out"


if __name__ == "__main__":
    unittest.main()
