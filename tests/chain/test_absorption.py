"""Absorption, laws at a generation and laws that stay, against exact rationals."""

from fractions import Fraction
from math import comb

import jax.numpy as jnp
import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint.chain import absorption, from_loop, law, quasi_stationary, stationary


def tempered(num_samples, temperature=1.0, corpus=None):
    return fp.Loop(fp.Temperature(temperature), corpus or fp.Fresh(num_samples))


def rational_matrix(n, power=1, odds=1, fraction=Fraction(0), real=Fraction(1, 2)):
    """Transition probabilities of two outcomes, T = 1/power, in exact rationals."""
    rows = []
    for k in range(n + 1):
        p = (1 - fraction) * Fraction(k, n) + fraction * real
        weights = odds * p**power, (1 - p) ** power
        p = weights[0] / sum(weights)
        rows.append([comb(n, j) * p**j * (1 - p) ** (n - j) for j in range(n + 1)])
    return rows


def rational_solve(matrix, right):
    """Gauss and Jordan in exact rationals; the right-hand side has columns."""
    rows = [list(row) + list(r) for row, r in zip(matrix, right, strict=True)]
    for k in range(len(rows)):
        pivot = next(i for i in range(k, len(rows)) if rows[i][k] != 0)
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [x / rows[k][k] for x in rows[k]]
        for i in range(len(rows)):
            if i != k and rows[i][k] != 0:
                rows[i] = [x - rows[i][k] * y for x, y in zip(rows[i], rows[k], strict=True)]
    return [row[len(rows) :] for row in rows]


def rational_absorption(n, P=None, **loop):
    """Probability that the first outcome wins, mean and variance of the time, 0 < k < n."""
    P = P or rational_matrix(n, **loop)
    inside = range(1, n)
    system = [[(i == j) - P[i][j] for j in inside] for i in inside]
    first = rational_solve(system, [[P[i][n], Fraction(1)] for i in inside])
    means = [row[1] for row in first]
    squares = rational_solve(system, [[2 * mean - 1] for mean in means])
    return np.array(
        [
            [float(p), float(mean), float(square[0] - mean**2)]
            for (p, mean), square in zip(first, squares, strict=True)
        ]
    ).T


@pytest.mark.parametrize(
    ("sampler", "stays"),
    [
        (fp.Nucleus(0.75), lambda many, few: 4 * many < 3 * (many + few)),
        (fp.Nucleus(0.7), lambda many, few: 10 * many < 7 * (many + few)),
        (fp.MinP(0.2), lambda many, few: 5 * few >= many),
        (fp.MinP(1 / 3), lambda many, few: 3 * few >= many),
    ],
)
@pytest.mark.parametrize("n", [8, 12, 20])
def test_truncated_chains_cut_as_exact_rationals_do(sampler, stays, n):
    """Masses and ratios that counts reach exactly; of two equal ones a nucleus takes the first."""
    P = rational_matrix(n)
    for k in range(1, n):
        if not stays(max(k, n - k), min(k, n - k)):
            P[k] = [Fraction(j == (n if 2 * k >= n else 0)) for j in range(n + 1)]
    chance, mean, variance = rational_absorption(n, P)
    found = absorption(from_loop(fp.Loop(sampler, fp.Fresh(n))))
    np.testing.assert_allclose(found.probability[1:-1, 1], chance, rtol=1e-12)
    np.testing.assert_allclose(found.mean[1:-1], mean, rtol=1e-12)
    np.testing.assert_allclose(found.variance[1:-1], variance, atol=1e-11 * mean.max() ** 2)


def test_a_nucleus_reached_exactly_ends_at_once():
    def mean(n):
        return absorption(from_loop(fp.Loop(fp.Nucleus(0.75), fp.Fresh(n)))).mean

    assert mean(8)[4] == pytest.approx(3.92050234, abs=1e-8)
    assert mean(20)[15] == 1


@pytest.mark.parametrize(
    ("n", "temperature", "odds"), [(4, 1, 1), (10, 1, 1), (5, 0.5, 1), (10, 0.5, 1), (12, 1, 3)]
)
def test_absorption_equals_exact_rationals(n, temperature, odds):
    corpus = fp.Curated(jnp.array([float(odds), 1.0]), fp.Fresh(n))
    found = absorption(from_loop(tempered(n, temperature, corpus)))
    chance, mean, variance = rational_absorption(n, power=round(1 / temperature), odds=odds)
    np.testing.assert_allclose(found.probability[1:-1, 1], chance, rtol=1e-13)
    np.testing.assert_allclose(found.mean[1:-1], mean, rtol=1e-13)
    np.testing.assert_allclose(found.variance[1:-1], variance, rtol=1e-12)
    np.testing.assert_array_equal(found.states, [0, n])
    np.testing.assert_array_equal(found.mean[[0, -1]], 0)


def test_published_values():
    """From exact elimination by hand: neutral, cold, selected and three outcomes."""
    neutral = absorption(from_loop(tempered(5))).mean
    np.testing.assert_allclose(neutral[1:3], [425 / 101, 575 / 101], rtol=1e-14)
    right = absorption(from_loop(fp.Loop(corpus=fp.Curated(jnp.array([2.0, 1.0]), fp.Fresh(4)))))
    np.testing.assert_allclose(
        right.probability[1:4, 1], np.array([7661488, 9395888, 9840048]) / 9962011, rtol=1e-14
    )
    three = from_loop(tempered(4), 3)
    assert absorption(three).mean[three.index([1, 1, 2])] == pytest.approx(749 / 145, rel=1e-14)


MPMATH = {
    (60, 1.0): [9.499136055602864781, 69.773064964593908523, 81.319819866262086859],
    (60, 1.5): [16645777802.282536014, 17061109610.881114936, 17061109644.746623047],
    (60, 3.0): [15613644942847654.445, 15613662164087305.025, 15613662164087382.797],
    (80, 2.0): [5314808491331624268.8, 5315861008424719463.8, 5315861008424738149.5],
}
"""Mean times from k = 1, 17 and n/2 for (n, T): mpmath.lu_solve of (I - Q) x = 1 at 60 digits."""


def test_times_beyond_the_precision_of_a_solve():
    """Against 60 digits (mpmath): an ordinary solve loses all of them without a word."""
    for (n, temperature), expected in MPMATH.items():
        chain = from_loop(tempered(n, temperature))
        found = absorption(chain)
        np.testing.assert_allclose(found.mean[[1, 17, n // 2]], expected, rtol=1e-13)
    n, chain = 80, from_loop(tempered(80, 2.0))
    plain = np.linalg.solve(np.eye(n - 1) - chain.matrix[1:n, 1:n], np.ones(n - 1))
    assert abs(plain[n // 2 - 1] / MPMATH[80, 2.0][-1] - 1) > 0.5


def test_a_model_that_is_no_state_is_generation_0():
    chain = from_loop(tempered(5))
    first = chain.first_generation(jnp.log(jnp.array([0.25, 0.75])))
    assert 1 + first @ absorption(chain).mean == pytest.approx(122231 / 25856, rel=1e-14)


@pytest.mark.long
def test_the_first_loss_of_three_outcomes():
    chain = from_loop(tempered(15, 2.0), 3, exchangeable=True)
    lost = absorption(chain.stopped((chain.counts == 0).any(-1)))
    assert lost.mean[chain.index([5, 5, 5])] == pytest.approx(47.896, abs=5e-4)
    all_lost = absorption(chain)
    assert all_lost.mean[chain.index([5, 5, 5])] > lost.mean[chain.index([5, 5, 5])]


@pytest.mark.parametrize("num_outcomes", [2, 3])
def test_one_sample_is_absorbed_at_once(num_outcomes):
    """No state is undecided: every one is its own end."""
    chain = from_loop(tempered(1, 0.7), num_outcomes)
    found = absorption(chain)
    np.testing.assert_array_equal(found.probability, np.eye(num_outcomes))
    np.testing.assert_array_equal(found.mean, 0)
    np.testing.assert_array_equal(found.variance, 0)
    first = chain.first_generation(jnp.linspace(0.5, -1.0, num_outcomes))
    assert 1 + first @ found.mean == 1
    with pytest.raises(ValueError, match="must have a state that is not absorbing"):
        quasi_stationary(chain)


@pytest.mark.parametrize("temperature", [0.0, 5e-4])
def test_what_is_decided_in_one_generation_has_no_law_before(temperature):
    """The most frequent of three samples is all that is drawn, up to 2^{−2000}."""
    chain = from_loop(tempered(3, temperature))
    np.testing.assert_array_equal(absorption(chain).mean, [0, 1, 1, 0])
    with pytest.raises(FloatingPointError, match="absorbed within a generation or two"):
        quasi_stationary(chain)


def test_law_by_steps_and_by_squares():
    chain = from_loop(tempered(6, 1.3))
    steps, squares = law(chain, 17, 2), law(chain, 18, 2)  # 18 is beyond 7 states × 5 bits / 2
    expected = np.linalg.matrix_power(chain.matrix, 17)[2]
    np.testing.assert_allclose(steps, expected, rtol=1e-13)
    np.testing.assert_allclose(squares, expected @ chain.matrix, rtol=1e-13)
    late = law(chain, 10**6, np.eye(7)[2])
    np.testing.assert_allclose(late[[0, -1]], absorption(chain).probability[2], rtol=1e-9)
    assert law(chain, 0, 3)[3] == 1


def test_heterozygosity_falls_by_one_nth():
    chain = from_loop(tempered(30))
    x = np.arange(31) / 30
    for generation in (1, 50, 5_000):
        kept = law(chain, generation, 7) @ (2 * x * (1 - x))
        expected = 2 * 7 * 23 / 900 * (29 / 30) ** generation
        assert kept == pytest.approx(expected, rel=1e-12)


def test_stationary_law_equals_exact_rationals():
    real = fp.Mixed(jnp.array([0.25, 0.75]), 0.25, fp.Fresh(6))
    found = stationary(from_loop(tempered(6, 0.5, real)))
    P = rational_matrix(6, power=2, fraction=Fraction(1, 4), real=Fraction(1, 4))
    system = [[Fraction(1)] * 7] + [[P[i][j] - (i == j) for i in range(7)] for j in range(6)]
    exact = rational_solve(system, [[Fraction(int(k == 0))] for k in range(7)])
    np.testing.assert_allclose(found, [float(row[0]) for row in exact], rtol=1e-13)


@pytest.mark.parametrize("real", [0.5, 0.3])
def test_variance_with_real_data(real):
    """q(1-q)/(1 + (n-1) a(2-a)), exactly, at n = 200."""
    n, a = 200, 0.02
    corpus = fp.Mixed(jnp.array([real, 1 - real]), a, fp.Fresh(n))
    pi = stationary(from_loop(tempered(n, 1.0, corpus)))
    x = np.arange(n + 1) / n
    assert pi @ x == pytest.approx(real, rel=1e-12)
    variance = pi @ (x - real) ** 2
    assert variance == pytest.approx(real * (1 - real) / (1 + (n - 1) * a * (2 - a)), rel=1e-11)


def test_quasi_stationary_law():
    for n in (10, 100):
        assert quasi_stationary(from_loop(tempered(n))).decay == pytest.approx(1 / n, rel=1e-12)
    slow = from_loop(tempered(60, 1.5))
    kept = quasi_stationary(slow)
    # Started from the law itself the time is geometric.
    assert kept.law @ absorption(slow).mean == pytest.approx(1 / kept.decay, rel=1e-12)
    assert kept.decay < 1e-10
    cold = from_loop(tempered(40, 0.3))
    left = quasi_stationary(cold)
    np.testing.assert_allclose(
        (left.law @ cold.matrix)[1:-1], (1 - left.decay) * left.law[1:-1], rtol=1e-12
    )


def test_what_does_not_fit_is_refused():
    ends = from_loop(tempered(3))
    stays = from_loop(fp.Loop(corpus=fp.Fresh(3), learner=fp.Refit(pseudo_counts=1.0)))
    for function in (absorption, quasi_stationary):
        with pytest.raises(ValueError, match="`chain` must have an absorbing state"):
            function(stays)
    with pytest.raises(ValueError, match="`chain` must have no absorbing state"):
        stationary(ends)
    with pytest.raises(ValueError, match="`start` must be a state or a law of 4 states"):
        law(ends, 1, [0.5, 0.5])
