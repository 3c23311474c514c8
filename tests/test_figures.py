"""The figures: each computes, holds its caption's claim, draws, and gives numbers to the text."""

import json
import re

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from fixedpoint.laws.equation import equations
from paper import build, press

STEMS = press.stems()


@pytest.fixture(scope="module")
def computed():
    """Each figure's data at its fast sizes, computed once."""
    found = {}

    def compute(stem):
        if stem not in found:
            found[stem] = press.script(stem).compute(**press.script(stem).FAST)
        return found[stem]

    return compute


@pytest.fixture(autouse=True)
def closed_figures():
    mpl.use("agg")
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.mark.slow
@pytest.mark.parametrize("stem", STEMS)
def test_claim_of_the_caption_holds(stem, computed):
    press.script(stem).check(computed(stem))


@pytest.mark.slow
@pytest.mark.parametrize("stem", STEMS)
def test_draw_gives_labelled_axes_at_the_width_of_the_page(stem, computed):
    with press.style():
        figure = press.script(stem).draw(computed(stem))
    assert isinstance(figure, Figure)
    assert figure.get_size_inches()[0] == press.TEXT_WIDTH
    plots = [axis for axis in figure.axes if axis.axison]
    assert plots
    assert any(axis.get_xlabel() for axis in plots)
    assert any(axis.get_ylabel() for axis in plots)


@pytest.mark.slow
@pytest.mark.parametrize("stem", STEMS)
def test_numbers_can_be_macros(stem, computed):
    numbers = press.script(stem).numbers(computed(stem))
    assert press.checked_numbers(stem, numbers) == numbers


@pytest.mark.slow
def test_the_paper_prints_every_number_of_its_figures_and_no_other(computed):
    text = build.source()
    given = [*build.tally(equations(), {}), *build.constants(equations())]
    for stem in build.printed():
        given += press.script(stem).numbers(computed(stem))
    assert len(given) == len(set(given)), "two figures give a number of the same name"
    assert set(re.findall(r"\\FP([A-Za-z]+)", text)) == set(given)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"after10": "1"}, "letters only; got 'after10'"),
        ({"mean_value": "1"}, "letters only; got 'mean_value'"),
        ({"mean": 1.5}, "must be printed"),
    ],
)
def test_numbers_that_cannot_be_macros_are_refused(numbers, message):
    with pytest.raises(ValueError, match=message):
        press.checked_numbers("limits", numbers)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stem", "key", "damage"),
    [
        ("limits", "entropy 1.0", lambda values: values + 1e-9 * np.arange(len(values))),
        ("limits", "probabilities 0.8", lambda values: values[::-1]),
        ("real_text", "words: entropy 1.0", lambda values: values * np.linspace(1, 1.01, 21)),
        ("recovery", "recovered float32", lambda values: values // 2),
        ("decomposition", "top 50: lost_modes", lambda values: values + 0.1),
        ("collapse_laws", "law of mixture", lambda values: values * 1.001),
        ("collapse_laws", "lineage 100", lambda values: values * np.linspace(1, 0.5, len(values))),
        ("losers", "exponent", lambda value: value / 2),
        ("losers", "tail", lambda values: values * 1.01),
        ("potential", "online: slope", lambda values: values[:, ::-1]),
        ("potential", "mixture: potential", lambda values: values[::-1]),
        ("displacement", "rms 1.0", lambda values: 1.2 * values),
        ("displacement", "rms 0.8", lambda values: values * np.geomspace(1, 3, len(values))),
        ("catenoid", "law", lambda values: values[0] + (values - values[0]) / 2),
        ("catenoid", "end of path", lambda values: values * 1.5),
        ("charts", "mixture gap", lambda values: values / 10),
        ("charts", "law", lambda values: 1 - values),
        ("skeleton", "third", lambda values: values + 0.05),
        ("stationary", "law 6.0", lambda value: value / 2),
        ("survivors", "law", lambda values: 1.1 * values),
        ("winner", "lost by law", lambda values: values * 1.3),
        ("winner", "grid 0.8", lambda values: values + 0.1),
    ],
)
def test_a_false_claim_is_not_drawn(stem, key, damage, computed):
    data = {**computed(stem)}
    data[key] = damage(data[key])
    with pytest.raises(AssertionError):
        press.script(stem).draw(data)


def test_published_files_are_the_same_bytes_at_every_run(tmp_path, monkeypatch):
    monkeypatch.setattr(press, "GENERATED", tmp_path)
    monkeypatch.setattr(press.script("limits"), "PNG", False)
    runs = [{path.name: path.read_bytes() for path in press.publish("limits")} for _ in range(2)]
    assert list(runs[0]) == ["limits.pdf", "limits.json"]
    assert runs[0] == runs[1]
    assert b"CreationDate" not in runs[0]["limits.pdf"]
    assert json.loads(runs[0]["limits.json"])["limitsEntropyStart"] == "0.8826"


def test_colours_tell_cold_from_hot():
    assert press.shade(0.8) == press.COLD
    assert press.shade(1.25) == press.HOT
    assert press.shade(1) == press.NEUTRAL
    assert len({press.shade(t) for t in (0.8, 0.9, 1, 1.1, 1.25)}) == 5


def test_figures_are_computed_in_float64(computed):
    assert computed("limits")["entropy 0.8"].dtype == np.float64
