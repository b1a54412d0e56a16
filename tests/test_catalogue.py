"""Every entry of the catalogue keeps the contract."""

import importlib

import pytest

from apptemplates._catalogue import ENTRIES
from apptemplates.testing import CHECKS, Case


@pytest.fixture(scope="module", params=ENTRIES, ids=lambda entry: entry.name)
def case(request) -> Case:
    entry = request.param
    return Case(getattr(importlib.import_module(f"apptemplates.templates.{entry.file}"), entry.name))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(case, check):
    check(case)
