"""The templates of the stack archive, and whether the Serverless Application Repository accepts template.yaml."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path
from typing import Any

from cfnlint.api import lint
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / ".github/release"), str(ROOT / "tests/local")]

import sam  # noqa: E402
import templates  # noqa: E402

TEMPLATE = (ROOT / "template.yaml").read_text(encoding="utf-8")
SITE = (ROOT / "examples/site/template.yaml").read_text(encoding="utf-8")
PACKAGE = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["package"]
ACCEPTED = ROOT / "tests/release/serverless_repository.txt"
DEPLOY = ROOT / "docs/deploy.md"
REPOSITORY = "AWS::ServerlessRepo::Application"


def expected(architecture: str, code: object) -> dict[str, Any]:
    """Returns template.yaml with this code, for one architecture, and without what builds or publishes it."""
    template = copy.deepcopy(yaml_parse(TEMPLATE))
    del template["Metadata"][REPOSITORY]
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            del resource["Metadata"]
            resource["Properties"]["CodeUri"] = code
    template["Parameters"]["Architecture"] |= {
        "Default": architecture,
        "AllowedValues": [architecture],
        "ConstraintDescription": f"must be {architecture}. The archive of another architecture has its own template.",
    }
    return template


class StackArchiveTest(unittest.TestCase):
    maxDiff = None

    def test_the_uploading_template_differs_in_code_and_architecture_only(self) -> None:
        for architecture in templates.ARCHITECTURES:
            template = yaml_parse(templates.with_archive(TEMPLATE, architecture))
            self.assertEqual(template, expected(architecture, "function.zip"))

    def test_the_template_for_a_bucket_has_two_more_parameters(self) -> None:
        for architecture in templates.ARCHITECTURES:
            wanted = expected(architecture, {"Bucket": {"Ref": "CodeBucket"}, "Key": {"Ref": "CodeKey"}})
            template = yaml_parse(templates.with_bucket(TEMPLATE, architecture))
            parameters = {name: template["Parameters"].pop(name) for name in ("CodeBucket", "CodeKey")}
            interface = template["Metadata"]["AWS::CloudFormation::Interface"]
            code = {"Label": {"default": "Code"}, "Parameters": ["CodeBucket", "CodeKey"]}
            self.assertEqual(interface["ParameterGroups"].pop(0), code)
            labels = {name: interface["ParameterLabels"].pop(name)["default"] for name in parameters}
            self.assertEqual(
                labels, {"CodeBucket": "Bucket of the function's archive", "CodeKey": "Key of the function's archive"}
            )
            self.assertEqual(template, wanted)
            self.assertNotIn("Default", parameters["CodeBucket"])
            self.assertIn("in the region of this stack", parameters["CodeBucket"]["Description"])
            self.assertEqual(
                parameters["CodeKey"]["Default"], f"cloudfront-invalidator/{PACKAGE['version']}/{architecture}.zip"
            )

    def test_the_key_ends_with_version_and_architecture_or_contains_a_hash(self) -> None:
        text = TEMPLATE.replace(f"SemanticVersion: {PACKAGE['version']}\n", "SemanticVersion: 1.2.3\n")
        key = yaml_parse(templates.with_bucket(text, "x86_64"))["Parameters"]["CodeKey"]
        accepted = [key["Default"], "1.2.3/x86_64.zip", f"code/{'0a' * 32}.zip"]
        refused = ["", "function.zip", "1.2.3", "code/1.2.3.zip", "code/1.2.3/arm64.zip", f"{'0a' * 31}.zip"]
        versions = ["1.2.4", "1.2.30", "11.2.3", "0.1.2.3", "1x2x3", "1.2.3-rc.1", "1.2.3+a"]
        refused += [f"code/{version}/x86_64.zip" for version in versions]
        pattern = re.compile(key["AllowedPattern"])
        self.assertEqual([text for text in accepted + refused if pattern.search(text)], accepted)

    def test_the_documented_command_finds_the_key(self) -> None:
        command = re.search(r"^key=.*$", DEPLOY.read_text(encoding="utf-8"), re.MULTILINE)
        with tempfile.TemporaryDirectory() as folder:
            templates.write("arm64", Path(folder))
            found = subprocess.run(
                ["sh", "-c", f'{command[0]}; echo "$key"'], cwd=folder, capture_output=True, text=True, check=True
            )
        self.assertEqual(found.stdout, f"cloudfront-invalidator/{PACKAGE['version']}/arm64.zip\n")

    def test_the_site_uses_the_template_in_its_folder(self) -> None:
        site = yaml_parse(SITE)
        self.assertEqual(site["Resources"]["Invalidator"]["Properties"].pop("Location"), "../../template.yaml")
        archived = yaml_parse(templates.site_template(SITE))
        self.assertEqual(archived["Resources"]["Invalidator"]["Properties"].pop("Location"), "template.yaml")
        self.assertEqual(archived, site)

    def test_the_site_names_parameters_and_unconditional_outputs_of_the_template(self) -> None:
        template, site = yaml_parse(TEMPLATE), yaml_parse(SITE)
        given = site["Resources"]["Invalidator"]["Properties"]["Parameters"]
        self.assertEqual(given.keys() - template["Parameters"].keys(), set())
        # A condition whose parameter the site does not give has the value of its default.
        by_default = {"HasAlarms": "Alarms", "HasDashboard": "Dashboard"}
        for name in re.findall(r"!GetAtt Invalidator\.Outputs\.(\w+)", SITE):
            condition = template["Outputs"][name].get("Condition")
            if condition is not None:
                self.assertEqual(template["Conditions"][condition], {"Fn::Equals": [{"Ref": by_default[condition]}, "true"]})
                self.assertEqual(template["Parameters"][by_default[condition]]["Default"], "true")
                self.assertNotIn(by_default[condition], given)

    def test_cfn_lint_accepts_the_templates(self) -> None:
        # The other architecture differs in two values only.
        archive, bucket = templates.with_archive(TEMPLATE, "arm64"), templates.with_bucket(TEMPLATE, "arm64")
        texts = [templates.site_template(SITE), archive, bucket]
        self.assertEqual([str(match) for text in texts for match in lint(text)], [])

    def test_a_changed_template_is_an_error(self) -> None:
        for removed in ("      CodeUri: .\n", "      BuildMethod: rust-cargolambda\n", "    ParameterGroups:\n"):
            with self.subTest(removed=removed), self.assertRaisesRegex(templates.TemplateError, r"the template has \d"):
                templates.with_bucket(TEMPLATE.replace(removed, "", 1), "x86_64")
        with self.assertRaisesRegex(templates.TemplateError, "the template has 0 lines SemanticVersion, not one"):
            templates.with_bucket(TEMPLATE.replace("SemanticVersion", "Version"), "x86_64")
        with self.assertRaisesRegex(templates.TemplateError, "the template has 0 matches"):
            templates.site_template(SITE.replace("Location:", "Place:"))
        with self.assertRaisesRegex(templates.TemplateError, "unknown architecture arm: expected x86_64 or arm64"):
            templates.with_archive(TEMPLATE, "arm")


class ServerlessRepositoryTest(unittest.TestCase):
    maxDiff = None

    # The limits of each field:
    # https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/serverless-sam-template-publishing-applications-metadata-properties.html
    def test_the_metadata_is_within_its_limits_and_names_the_release(self) -> None:
        metadata = yaml_parse(TEMPLATE)["Metadata"][REPOSITORY]
        self.assertRegex(metadata["Name"], r"^[a-zA-Z0-9-]{1,140}$")
        self.assertRegex(metadata["Author"], r"^(?=.{1,127}$)[a-z0-9](([a-z0-9]|-(?!-))*[a-z0-9])?$")
        self.assertRegex(metadata["Description"], r"^.{1,256}$")
        self.assertLessEqual(len(metadata["Labels"]), 10)
        for label in metadata["Labels"]:
            self.assertRegex(label, r"^[a-zA-Z0-9+_:/@-]{1,127}$")
        for field in ("LicenseUrl", "ReadmeUrl"):
            self.assertLess((ROOT / metadata[field]).stat().st_size, 5 * 1024 * 1024)
        self.assertEqual(metadata["SemanticVersion"], PACKAGE["version"])
        self.assertIn(metadata["SpdxLicenseId"], PACKAGE["license"].split(" OR "))
        self.assertEqual(metadata["LicenseUrl"], f"LICENSE-{metadata['SpdxLicenseId'].split('-')[0].upper()}")
        self.assertEqual(metadata["HomePageUrl"], PACKAGE["repository"])
        self.assertEqual(metadata["SourceCodeUrl"], PACKAGE["repository"])

    def test_the_documentation_names_the_types_that_the_repository_does_not_accept(self) -> None:
        lines = ACCEPTED.read_text(encoding="utf-8").splitlines()
        accepted = {line for line in lines if not line.startswith("#")}
        # The translator expands the resources of all conditions.
        expanded = sam.expand(templates.with_bucket(TEMPLATE, "x86_64"))
        resources = [*yaml_parse(TEMPLATE)["Resources"].values(), *expanded["Resources"].values()]
        refused = {resource["Type"] for resource in resources} - accepted
        text = DEPLOY.read_text(encoding="utf-8")
        section = re.search(r"^## Serverless Application Repository\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
        self.assertIsNotNone(section, "docs/deploy.md has no section Serverless Application Repository")
        self.assertEqual(set(re.findall(r"`(AWS::[\w:]+)`", section[1])) - {REPOSITORY}, refused)


if __name__ == "__main__":
    unittest.main()
