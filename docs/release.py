"""What a release asks for: `python -m docs.release version | notes | sbom FILE`.

`sbom` lists all that a wheel needs, in CycloneDX, and needs `cyclonedx-bom`.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def version() -> str:
    """The version, of which each place that has it is asked. Raises SystemExit if they differ."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    engine = (ROOT / "engine" / "codexapi_engine" / "__init__.py").read_text("utf-8")
    found = re.search(r'^__version__ = "(.+)"$', engine, re.MULTILINE)
    if found is None or found[1] != project["version"]:
        raise SystemExit("pyproject.toml and engine/codexapi_engine/__init__.py differ")
    return found[1]


def notes() -> str:
    """What CHANGELOG.md says of the version. Raises SystemExit if it says nothing."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        if title.split()[0].strip("[]") == version():
            return body.strip()
    raise SystemExit(f"CHANGELOG.md has no section ## {version()}")


def sbom(file: Path) -> None:
    """Writes the list of all that a wheel needs: what constraints.txt pins, with its hashes."""
    command = [
        sys.executable, "-m", "cyclonedx_py", "requirements", "constraints.txt",
        "--pyproject", "pyproject.toml", "--output-reproducible", "--output-file", str(file),
    ]  # fmt: skip
    subprocess.run(command, cwd=ROOT, check=True)


def main(arguments: list[str]) -> None:
    match arguments:
        case ["version"]:
            print(version())
        case ["notes"]:
            print(notes())
        case ["sbom", file]:
            sbom(Path(file).absolute())
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
