"""README, CI and the package's own facts say the same."""

import configparser
import re
from pathlib import Path

import pytest

import apptemplates

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def setup():
    read = configparser.ConfigParser()
    read.read(ROOT / "setup.cfg")
    return read


def test_version_is_one(setup):
    assert setup["metadata"]["version"] == apptemplates.__version__
    assert f"## {apptemplates.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_ci_runs_the_test_command_of_the_readme():
    commands = re.findall(r"^(python3 -m venv .*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert commands[0].endswith("apptemplates demo") and commands[1].endswith("-m pytest -n 2 --dist loadgroup")
    assert f"\n{commands[1]}\n" in (ROOT / ".ci" / "run").read_text()


def test_the_readme_has_the_catalogue():
    readme = (ROOT / "README.md").read_text()
    for entry in apptemplates._catalogue.ENTRIES:
        assert f"| `{entry.name}` | {entry.answers} |" in readme


def test_dependencies_have_lower_bounds_only(setup):
    lines = [setup["options"]["install_requires"], *setup["options.extras_require"].values()]
    for line in "\n".join(lines).split():
        if re.match(r"[a-z]", line) and ">=" in line:
            assert re.fullmatch(r"[A-Za-z0-9_-]+>=[0-9.]+", line), line


def test_a_wheel_holds_every_part_and_every_saved_model(setup):
    named = set(setup["options"]["packages"].split())
    parts = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "apptemplates").rglob("__init__.py")}
    assert named == parts | {"apptemplates.saved_models"}
    assert "apptemplates.saved_models = saved_models" in setup["options"]["package_dir"]
    assert "*/*" in setup["options.package_data"]["apptemplates.saved_models"].split()
    assert "graft saved_models" in (ROOT / "MANIFEST.in").read_text().splitlines()
    models = {path.parent for path in (ROOT / "saved_models").glob("*/manifest.json")}
    assert {path.name for path in models} == {entry.file for entry in apptemplates._catalogue.ENTRIES}
    files = [file for path in models for file in path.rglob("*") if file.is_file()]
    assert all(file.parent in models for file in files)  # no deeper than the pattern reaches
    assert sum(file.stat().st_size for file in files) < 25e6


def test_every_part_is_packaged(setup):
    assert (ROOT / "apptemplates" / "py.typed").exists()
    assert "py.typed" in setup["options.package_data"]["apptemplates"]
    for folder in {path.parent for path in (ROOT / "apptemplates").rglob("*.py")}:
        assert (folder / "__init__.py").exists(), folder
