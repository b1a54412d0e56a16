"""Every entry of the catalogue keeps the contract."""

import doctest
import importlib

import pytest

from apptemplates import testing
from apptemplates._catalogue import ENTRIES
from apptemplates.template import Template
from apptemplates.testing import CHECKS, Case


@pytest.fixture(scope="module", params=ENTRIES, ids=lambda entry: entry.name)
def case(request) -> Case:
    entry = request.param
    return Case(getattr(importlib.import_module(f"apptemplates.templates.{entry.file}"), entry.name))


def test_the_example_in_its_docstring_does_as_it_says(case, monkeypatch):
    fitted = case.app  # serves: an example's own fit is one of the same records
    monkeypatch.setattr(Template, "fit", lambda app, source, **more: fitted)
    examples = doctest.DocTestFinder(recurse=False).find(case.cls, globs={case.cls.__name__: case.cls})
    for example in examples:
        assert doctest.DocTestRunner(verbose=False).run(example).failed == 0


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(case, check, run_process, monkeypatch):
    monkeypatch.setattr(testing, "fresh_process", run_process)  # not to wait for TensorFlow
    check(case)
