"""Every example in a docstring runs and gives what it says."""

import doctest
import importlib
import pkgutil

import pytest

import fixedpoint

INSIDE = pkgutil.walk_packages(fixedpoint.__path__, "fixedpoint.")
MODULES = ["fixedpoint", *sorted(module.name for module in INSIDE)]
# Many small programs to compile: `.ci/run` runs these apart from the suite.
LONG = {
    "fixedpoint.confront",
    "fixedpoint.laws.flow.solution",
    "fixedpoint.laws.fixation.solution",
    "fixedpoint.kernels.observables",
    "fixedpoint.kernels.sums",
    "fixedpoint.laws.tempering.solution",
    "fixedpoint.laws.traces.solution",
    "fixedpoint.loop.flow",
    "fixedpoint.loop.learners",
    "fixedpoint.loop.resampling",
    "fixedpoint.loop.run",
    "fixedpoint.loop.samplers",
    "fixedpoint.loop.traces",
    "fixedpoint.loop.vertex",
    "fixedpoint.potential",
    "fixedpoint.simplex.change",
    "fixedpoint.simplex.distribution",
    "fixedpoint.simplex.divergences",
}
assert set(MODULES) >= LONG


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.long] * (name in LONG)) for name in MODULES]
)
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # some record what they verified
    module = importlib.import_module(name)
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    results = doctest.testmod(module, optionflags=flags)
    assert results.failed == 0
