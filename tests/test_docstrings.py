"""What stands behind >>> in a docstring happens as it says."""

import doctest
import importlib
from pathlib import Path

import pytest

import apptemplates
from apptemplates.template import Template

ROOT = Path(apptemplates.__file__).parent
MODULES = sorted(
    ".".join(("apptemplates", *file.relative_to(ROOT).with_suffix("").parts))
    for file in ROOT.rglob("*.py")
    if ">>> " in file.read_text(encoding="utf-8") and file.parent.name != "templates"  # those: test_catalogue
)
FIT = Template.fit


@pytest.mark.parametrize("name", MODULES)
def test_examples_do_as_they_say(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    # what an example shows needs no good model
    monkeypatch.setattr(Template, "fit", lambda app, source, **more: FIT(app, source, **{"minutes": 0.05, **more}))
    module = importlib.import_module(name)
    tried = doctest.testmod(module, verbose=False)
    assert tried.attempted > 0 and tried.failed == 0
