"""The benchmarks' bookkeeping; how fast anything is, is no matter of passing or failing."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parent / "benchmarks"


@pytest.fixture(scope="module")
def race():
    spec = importlib.util.spec_from_file_location("race", BENCHMARKS / "race.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["race"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["race"]


@pytest.mark.slow
def test_order_alternates_and_a_wrong_answer_is_named(race):
    calls = []

    def contestant(name, answer):
        def run():
            calls.append(name)
            return answer

        return race.Contestant(name, run)

    right, wrong = {"entropy": np.array([[1.0, 2.0]])}, {"entropy": np.array([[1.0, 2.001]])}
    outcome = race.hold(
        race.Race(
            name="test",
            title="test",
            contestants=[contestant("a", right), contestant("b", wrong), contestant("c", None)],
            distance=race.relative_error,
            distance_name="relative difference",
            tolerance=1e-9,
        ),
        rounds=3,
    )
    assert "".join(calls) == "abc" + "abc" + "cba" + "abc"  # the first to warm up and compare
    assert outcome.disagreeing == ["b"]
    reference, other, limit = outcome.entries
    assert reference.ratio == 1
    assert other.distance == pytest.approx(0.0005)
    assert limit.distance is None
    assert other.ratio_range[0] <= other.ratio <= other.ratio_range[1]


def test_a_missing_or_undefined_number_is_no_agreement(race):
    expected = {"entropy": np.array([1.0, 2.0])}
    assert race.relative_error({"entropy": np.array([1.0, np.nan])}, expected) == np.inf
    assert race.relative_error({"entropy": np.array([1.0])}, expected) == np.inf


def test_two_sample_statistic_tells_laws_apart(race):
    rng = np.random.default_rng(0)
    one, other = {"gap": rng.normal(size=2000)}, {"gap": rng.normal(size=2000)}
    assert race.kolmogorov_smirnov(one, other) < 1.9
    assert race.kolmogorov_smirnov(one, {"gap": other["gap"] + 0.3}) > 2.8
    # 1, 2 against 3, 4: the distribution functions differ by 1, and √(nm/(n+m)) = 1.
    apart = {"gap": np.array([1.0, 2.0])}, {"gap": np.array([3.0, 4.0])}
    assert race.kolmogorov_smirnov(*apart) == 1


@pytest.mark.slow
def test_all_contestants_give_the_same_answers(tmp_path):
    command = [sys.executable, BENCHMARKS / "run.py", "--quick", "--rounds", "1"]
    subprocess.run([*command, "--output", tmp_path], check=True, capture_output=True)
    races = json.loads((tmp_path / "benchmarks.json").read_text())["races"]
    assert set(races) == {"closed-form", "predict", "traces-2", "traces-16"}
    for name, race in races.items():
        distances = [entry["distance"] for entry in race["entries"]]
        assert max(d for d in distances if d is not None) <= race["tolerance"], name
    assert r"\begin{tabular}" in (tmp_path / "benchmarks.tex").read_text()
    assert "| fixedpoint |" in (tmp_path / "benchmarks.md").read_text()
