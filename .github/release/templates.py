"""Makes the templates of the stack archive from template.yaml and examples/site/template.yaml.

The archive is for users without a toolchain: its function is built already.

- template.yaml uploads function.zip, which is in the same folder, with `sam deploy`.
- template-s3.yaml reads the function from a bucket. It is for the console, `aws cloudformation deploy` and the CDK.
- site.yaml is the example of a site, with the invalidator as a nested application.

The text is edited line by line, so that comments and the order stay. Each edit is counted: a template that has changed
in the meantime is an error, and never an archive whose function is missing.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURES = ("x86_64", "arm64")

# For `sam build`, and for `sam publish` with the files of the repository.
BUILD_METADATA = r"    Metadata:\n      BuildMethod: rust-cargolambda\n      BuildProperties:\n        Binary: \S+\n"
PUBLISHED = r"\n  # [^\n]*\n(?:  #[^\n]*\n)*  AWS::ServerlessRepo::Application:\n(?:    [^\n]*\n)+"

CODE_GROUP = """\
      - Label: {default: Code}
        Parameters: [CodeBucket, CodeKey]
"""
CODE_LABELS = """\
      CodeBucket: {default: Bucket of the function's archive}
      CodeKey: {default: Key of the function's archive}
"""
# CloudFormation compares the parameters, not the objects: an object that was replaced under the same key changes
# nothing. So the key of another version is refused. The CDK names an object after a SHA-256 hash.
CODE_PARAMETERS = """\
  CodeBucket:
    Type: String
    Description: >-
      Name of the bucket to which you have uploaded function.zip of this archive. It must be in the region of this
      stack.
    AllowedPattern: '^[a-z0-9][a-z0-9.-]{{1,61}}[a-z0-9]$'
    ConstraintDescription: must be the name of a bucket (not its ARN), 3 to 63 lower-case characters.
  CodeKey:
    Type: String
    Default: cloudfront-invalidator/{version}/{architecture}.zip
    Description: >-
      Key of function.zip in this bucket. It must end with {version}/{architecture}.zip, the version and the
      architecture of this template, or contain a SHA-256 hash of the content, because CloudFormation does not read a
      new object under the same key.
    AllowedPattern: '^((.*/)?{pattern}/{architecture}[.]zip|.*[0-9a-f]{{64}}.*)$'
    ConstraintDescription: >-
      must end with {version}/{architecture}.zip, or contain a SHA-256 hash. Upload function.zip of this archive first.
"""


class TemplateError(Exception):
    """A template does not have the lines that are replaced."""


def with_archive(template: str, architecture: str) -> str:
    """Returns the template that uploads function.zip in its folder."""
    return _built(template, architecture, "CodeUri: function.zip")


def with_bucket(template: str, architecture: str) -> str:
    """Returns the template that reads the function from the bucket and key of two parameters."""
    released = version(template)
    parameters = CODE_PARAMETERS.format(version=released, architecture=architecture, pattern=re.escape(released))
    text = _built(template, architecture, "CodeUri: {Bucket: !Ref CodeBucket, Key: !Ref CodeKey}")
    text = _after(text, "    ParameterGroups:\n", CODE_GROUP)
    text = _after(text, "    ParameterLabels:\n", CODE_LABELS)
    return _after(text, "\nParameters:\n", parameters)


def site_template(site: str) -> str:
    """Returns the template of a site with the invalidator's template in its folder."""
    return _replace(site, r"Location: \.\./\.\./template\.yaml\n", "Location: template.yaml\n", 1)


def version(template: str) -> str:
    """Returns the version of a template."""
    found = re.findall(r"^    SemanticVersion: (\S+)$", template, re.MULTILINE)
    if len(found) != 1:
        raise TemplateError(f"the template has {len(found)} lines SemanticVersion, not one")
    return found[0]


def _built(template: str, architecture: str, code: str) -> str:
    """Returns the template with this code, without what is needed to build or publish it, for one architecture."""
    if architecture not in ARCHITECTURES:
        raise TemplateError(f"unknown architecture {architecture}: expected {' or '.join(ARCHITECTURES)}")
    functions = template.count("\n    Type: AWS::Serverless::Function\n")
    text = _replace(template, r"CodeUri: \.\n", f"{code}\n", functions)
    text = _replace(text, BUILD_METADATA, "", functions)
    text = _replace(text, PUBLISHED, "", 1)
    return _replace(
        text,
        r"    Default: x86_64\n    AllowedValues: \[x86_64, arm64\]\n(    Description: .*\n)    ConstraintDescription: .*\n",
        rf"    Default: {architecture}\n    AllowedValues: [{architecture}]\n\1"
        rf"    ConstraintDescription: must be {architecture}. The archive of another architecture has its own template.\n",
        1,
    )


def _after(text: str, line: str, added: str) -> str:
    """Returns the text with lines added after a line that occurs once."""
    return _replace(text, re.escape(line), (line + added).replace("\\", r"\\"), 1)


def _replace(text: str, pattern: str, replacement: str, count: int) -> str:
    """Returns the text with each match replaced; requires this number of matches."""
    text, found = re.subn(pattern, replacement, text)
    if found != count:
        raise TemplateError(f"the template has {found} matches of {pattern!r}, not {count}")
    return text


def files(architecture: str) -> dict[str, str]:
    """Returns the texts of the stack archive: the templates, and the settings of `sam deploy`."""
    template = (ROOT / "template.yaml").read_text(encoding="utf-8")
    site = (ROOT / "examples/site/template.yaml").read_text(encoding="utf-8")
    return {
        "template.yaml": with_archive(template, architecture),
        "template-s3.yaml": with_bucket(template, architecture),
        "site.yaml": site_template(site),
        "samconfig.toml": (ROOT / "samconfig.toml").read_text(encoding="utf-8"),
    }


def write(architecture: str, folder: Path) -> None:
    """Writes the texts of the stack archive into a folder that exists."""
    for name, text in files(architecture).items():
        (folder / name).write_text(text, encoding="utf-8")
