"""Every registered equation passes the three comparisons."""

import pytest

from fixedpoint import confront
from fixedpoint.laws.equation import equations


@pytest.fixture(scope="module", params=sorted(equations()))
def label(request):
    """One equation after the other, so that its comparisons share what they compile."""
    return request.param


def test_proved(label):
    found = confront.prove(equations()[label])
    assert found.passed, found.summary


def test_evaluated(label):
    found = confront.evaluate(equations()[label])
    assert found.passed, found.summary


def test_confronted(label):
    found = confront.confront(equations()[label])
    assert found.passed, found.summary
    COMPARED[label] = found.comparisons if found.z is not None else 0
    assert sum(COMPARED.values()) <= confront.CAPACITY


COMPARED: dict[str, int] = {}


def test_the_docstring_of_the_solution_names_its_label(label):
    solution = confront.implementation(equations()[label], "solution")
    assert label in (solution.__doc__ or "")
