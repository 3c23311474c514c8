"""One name and one letter for one thing, in all laws."""

import pytest

from fixedpoint.laws import notation
from fixedpoint.laws.equation import equations

TABLE = notation.table()
ARGUMENTS = {argument.name: argument for argument in TABLE}
REGISTER = equations()


def test_every_argument_is_said_once():
    assert len(ARGUMENTS) == len(TABLE)
    assert all(getattr(notation, name) is argument for name, argument in ARGUMENTS.items())


@pytest.mark.parametrize("label", REGISTER)
def test_a_claim_takes_its_arguments_from_the_table(label):
    for name, symbol in REGISTER[label].symbols.items():
        assert name in ARGUMENTS
        assert symbol == ARGUMENTS[name].symbol, f"{name} is written {symbol}"


def test_every_argument_of_the_table_is_used():
    used = {name for equation in REGISTER.values() for name in equation.symbols}
    assert set(ARGUMENTS) == used


@pytest.mark.parametrize("label", REGISTER)
def test_a_letter_stands_for_one_thing_in_a_claim(label):
    letters = [str(symbol) for symbol in REGISTER[label].symbols.values()]
    assert len(letters) == len(set(letters))


def test_an_argument_is_drawn_from_where_a_claim_says():
    narrowed = notation.num_samples(2, 40)
    assert narrowed.domain == (2, 40)
    assert (narrowed.name, narrowed.symbol) == ("num_samples", notation.n)
    assert notation.num_samples.domain is None
