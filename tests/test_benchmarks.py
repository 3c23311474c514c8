"""The benchmarks' bookkeeping; how fast anything is, is no matter of passing or failing."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parent / "benchmarks"


@pytest.fixture(scope="module")
def race():
    sys.path.insert(0, str(BENCHMARKS))  # the benchmarks are scripts, which import each other
    yield importlib.import_module("race")
    sys.path.remove(str(BENCHMARKS))
    for name in ("race", "machine", "report"):
        sys.modules.pop(name, None)


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


def test_the_difference_of_samples_has_a_unit(race):
    report = importlib.import_module("report")
    record = json.loads((BENCHMARKS / "results.json").read_text(encoding="utf-8"))
    for name, kind in record["races"].items():
        sampled = name.startswith(("resampling", "traces"))
        assert sampled == ("Kolmogorov" in kind["difference"])
        for entry in kind["entries"]:
            if entry["distance"] is not None:
                assert report.cells(entry, kind)[5].endswith(" KS") == sampled
    assert "KS:" in report.NOTE


def test_growth_is_the_slope_of_the_larger_half(race):
    growth = race.Growth("test", "test", "n", [1, 2, 4, 8, 16], lambda size: lambda: None)
    seconds = [7.0, 7.0, 4.0**1.5, 8.0**1.5, 16.0**1.5]
    assert race.Curve(growth, seconds).slope == pytest.approx(1.5)


def test_the_limit_is_what_takes_longest(race):
    rates = sys.modules["machine"].Rates(bytes=10.0, exponentials=5.0, multiply_adds=100.0)
    assert race.Work(bytes=20, exponentials=15, multiply_adds=100).limit(rates) == 3
    assert race.Work(bytes=40, exponentials=15).limit(rates) == 4


@pytest.mark.slow
def test_all_contestants_give_the_same_answers(tmp_path):
    path = tmp_path / "results.json"
    command = [sys.executable, BENCHMARKS / "run.py", "--quick", "--rounds", "1"]
    subprocess.run([*command, "--output", path], check=True, capture_output=True)
    record = json.loads(path.read_text())
    assert set(record["races"]) >= {"closed-form", "predict", "traces-2", "traces-16"}
    for name, race in record["races"].items():
        distances = [entry["distance"] for entry in race["entries"]]
        compared = [distance for distance in distances if distance is not None]
        assert len(compared) >= 2 or name in ("start", "compilation"), name
        assert max(compared, default=0) <= race["tolerance"], name
