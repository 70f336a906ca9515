"""Writes the third-party notices and the SBOM (CycloneDX) of each binary into target/audit/.

usage: third_party.py [CARGO-CYCLONEDX]

Without the path of cargo-cyclonedx, it writes the notices only.

`cargo tree` lists the crates that a binary contains, without build dependencies and macros. Their notices are all license
files of their packages, also those of code that they have copied. It fails if a crate has no text, or if an SBOM lacks a
crate. An SBOM also lists macros and some crates that only tests need, because cargo-cyclonedx does not distinguish them.
"""

import json
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "target" / "audit"

# The function runs on Linux; the command line is built wherever its user is.
LINUX = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"]
BINARIES = {
    "cloudfront-invalidator": ([], LINUX),
    "cf-invalidate": (["--features=cli"], ["all"]),
}

LICENSE_FILE = re.compile(r"(un)?licen[cs]e|copying|copyright|notice", re.IGNORECASE)

# For packages without a license file. The text of MIT begins after the line of its copyright holder.
STANDARD_TEXTS = {
    "Apache-2.0": (ROOT / "LICENSE-APACHE").read_text(),
    "MIT": (ROOT / "LICENSE-MIT").read_text().partition("\n\n")[2].partition("\n\n")[2],
}


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def linked_crates(features, targets):
    """Returns the names and versions of the crates that the binary contains, without its own."""
    tree = cargo(
        "tree", "--locked", *features, *(f"--target={target}" for target in targets),
        "--edges=normal,no-proc-macro", "--prefix=none", "--format={p}",
    )  # fmt: skip
    # A line is: NAME vVERSION, and a path in parentheses for a crate that is not from a registry.
    crates = {tuple(line.split()[:2]) for line in tree.splitlines() if line and "(/" not in line}
    return sorted((name, version.removeprefix("v")) for name, version in crates)


def license_texts(package):
    """Returns the texts of all license files in the package."""
    folder = Path(package["manifest_path"]).parent
    files = sorted(
        path
        for path in folder.rglob("*")
        # Licenses of test data are not about code in the binary.
        if LICENSE_FILE.match(path.name) and path.suffix != ".rs" and path.is_file()
        and path.relative_to(folder).parts[0] != "tests"
    )  # fmt: skip
    return [path.read_text(errors="replace") for path in files]


def substitute_text(package, packages):
    """Returns the text for a package without a license file: that of a crate of the same repository, or the standard text."""
    license, repository = package["license"], package["repository"]
    for sibling in packages.values():
        if repository and (sibling["repository"], sibling["license"]) == (repository, license):
            if texts := license_texts(sibling):
                return "\n".join(texts)
    for choice in re.split(r" OR |/", license or ""):
        if choice in STANDARD_TEXTS:
            authors = ", ".join(package["authors"]) or "none"
            return (
                f"The package has no license file. Authors in its manifest: {authors}. The text of {choice}:\n\n"
                f"{STANDARD_TEXTS[choice]}"
            )
    sys.exit(f"{package['name']} has no license file, and tests/audit/third_party.py has no text of {license}")


def write_sbom(cyclonedx, binary, features, targets):
    """Writes the SBOM and returns the names and versions of the crates in it."""
    # cargo-cyclonedx accepts one target, and writes beside Cargo.toml only.
    subprocess.run(
        [cyclonedx, "cyclonedx", "--quiet", "--format=json", "--spec-version=1.5", "--no-build-deps", *features]
        + [f"--target={targets[0]}", f"--override-filename={binary}.cdx"],
        cwd=ROOT, check=True,
    )  # fmt: skip
    sbom = OUT / f"{binary}.cdx.json"
    shutil.move(ROOT / sbom.name, sbom)
    return {(component["name"], component["version"]) for component in json.loads(sbom.read_text())["components"]}


def notices(binary, crates, packages):
    """Returns the notices: a list of the crates, then each text once, below the crates to which it applies."""
    texts, crates_of = {}, defaultdict(list)
    for crate in crates:
        package = packages[crate]
        for text in license_texts(package) or [substitute_text(package, packages)]:
            key = " ".join(text.split())
            texts.setdefault(key, text.strip())
            if crate not in crates_of[key]:
                crates_of[key].append(crate)
    listed = "".join(
        f"{name} {version}: {packages[name, version]['license']}, {packages[name, version]['repository']}\n"
        for name, version in crates
    )
    sections = "".join(
        f"\n{'=' * 80}\n{', '.join(' '.join(crate) for crate in crates_of[key])}\n{'=' * 80}\n\n{text}\n"
        for key, text in texts.items()
    )
    return (
        f"{binary} contains these crates, and Rust's standard library (rust-standard-library.html).\n"
        f"Their licenses follow.\n\n{listed}{sections}"
    )


def main():
    cyclonedx = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else None
    OUT.mkdir(parents=True, exist_ok=True)
    metadata = json.loads(cargo("metadata", "--locked", "--all-features", "--format-version=1"))
    packages = {(package["name"], package["version"]): package for package in metadata["packages"]}
    for binary, (features, targets) in BINARIES.items():
        crates = linked_crates(features, targets)
        if cyclonedx and (missing := set(crates) - write_sbom(cyclonedx, binary, features, targets)):
            sys.exit(f"the SBOM of {binary} lacks {', '.join(sorted(' '.join(crate) for crate in missing))}")
        (OUT / f"{binary}.notices.txt").write_text(notices(binary, crates, packages))
        written = f"{binary}.notices.txt" + (f" and {binary}.cdx.json" if cyclonedx else "")
        print(f"{binary}: {len(crates)} crates, {written} in target/audit/")
    sysroot = subprocess.run(["rustc", "--print=sysroot"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    library = Path(sysroot.strip(), "share/doc/rust/COPYRIGHT-library.html")
    if not library.is_file():
        sys.exit(f"the notices of Rust's standard library are not in {library}: install Rust from https://rustup.rs")
    shutil.copy(library, OUT / "rust-standard-library.html")


main()
