"""The simplex against exact arithmetic, at its edges, and its derivatives.

The oracles are the textbook definitions, summed in mpmath from the exact values of the logits with
650 digits, because a textbook's 1 - p cancels and one state has an outcome of probability 1e-587.
"""

import math

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fixedpoint import simplex


@pytest.fixture(autouse=True)
def digits():
    """Enough of them for what the tests ask, and for these tests alone."""
    with mp.workdps(650):
        yield


INF = np.inf

# No state is symmetric; four have five outcomes, so that every function compiles once for them.
STATES = {
    "asymmetric": [0.3, -1.2, 2.1, 0.4, -0.7],
    "tied": [1.5, 1.5, 0.2, -3.0, 1.5],
    "near a vertex": [0.0, -40.0, -300.0, -690.0, -41.5],
    "two lost": [-INF, 0.5, -1.0, 2.0, -INF],
    "far from 0": [1000.3, 1001.0, 999.5, 1000.0, 998.0],
    "wide": [700.0, -650.0, 3.0, 0.1, 100.0],
    "a point": [-INF, -INF, 0.7, -INF, -INF],
}
ORDERS = [0.0, 1e-9, 0.3, 0.5, 1 - 1e-9, 1.0, 1 + 1e-9, 1.2, 1.9, 2.0, 7.0, 1e3, INF]

# Compiled once a shape; the eager functions are compared with these in `TestEveryFunction`.
renyi_entropy = jax.jit(simplex.renyi_entropy)
renyi_divergence = jax.jit(simplex.renyi_divergence)
kl_divergence = jax.jit(simplex.kl_divergence)
temper = jax.jit(simplex.temper)
probabilities = jax.jit(simplex.probabilities)
fisher_matrix = jax.jit(simplex.fisher_matrix)
heterozygosity = jax.jit(simplex.heterozygosity)
majorises = jax.jit(simplex.majorises, static_argnames="tolerance")


# Oracles -----------------------------------------------------------------------------------------


def exact_probabilities(logits):
    weights = [mp.mpf(0) if x == -INF else mp.exp(mp.mpf(float(x))) for x in logits]
    return [w / mp.fsum(weights) for w in weights]


def exact_renyi_entropy(p, order):
    p = [x for x in p if x > 0]
    if order == 1:
        return -mp.fsum(x * mp.log(x) for x in p)
    if order == INF:
        return -mp.log(max(p))
    order = mp.mpf(order)
    return mp.log(mp.fsum(x**order for x in p)) / (1 - order)


def exact_kl(p, q):
    if any(x > 0 and y == 0 for x, y in zip(p, q, strict=True)):
        return mp.inf
    return mp.fsum(x * mp.log(x / y) for x, y in zip(p, q, strict=True) if x > 0)


def exact_renyi_divergence(p, q, order):
    pairs = [(x, y) for x, y in zip(p, q, strict=True) if x > 0]
    if order == 1:
        return exact_kl(p, q)
    if order == 0:
        return -mp.log(mp.fsum(y for _, y in pairs))
    if order > 1 and any(y == 0 for _, y in pairs):
        return mp.inf
    if order == INF:
        return mp.log(max(x / y for x, y in pairs))
    order = mp.mpf(order)
    total = mp.fsum(x**order * y ** (1 - order) for x, y in pairs if y > 0)
    return mp.log(total) / (order - 1) if total > 0 else mp.inf


def exact_tail(p):
    return mp.fsum(x for x in p if x < max(p))


def assert_close(actual, expected, tolerance=1e-12, smallest=1e-300):
    """Relative comparison, entry by entry; values below the smallest normal number may be 0."""
    actual = np.atleast_1d(np.asarray(actual, dtype=float)).ravel()
    expected = np.atleast_1d(np.asarray(expected, dtype=object)).ravel()
    assert actual.shape == expected.shape
    for computed, exact in zip(actual, expected, strict=True):
        if not mp.isfinite(exact):
            assert computed == float(exact)
        elif abs(exact) < smallest:
            assert abs(computed) <= smallest
        else:
            assert abs(mp.mpf(float(computed)) / exact - 1) < tolerance, (computed, exact)


OBSERVABLES = {
    "log_probabilities": (
        simplex.log_probabilities,
        lambda p: [mp.log(x) if x > 0 else -mp.inf for x in p],
    ),
    "probabilities": (simplex.probabilities, lambda p: p),
    "entropy": (simplex.entropy, lambda p: exact_renyi_entropy(p, 1)),
    "heterozygosity": (
        simplex.heterozygosity,
        lambda p: mp.fsum(x * (mp.fsum(p[:i]) + mp.fsum(p[i + 1 :])) for i, x in enumerate(p)),
    ),
    "effective_number": (
        simplex.effective_number,
        lambda p: mp.exp(exact_renyi_entropy(p, 1)),
    ),
    "mode_probability": (simplex.mode_probability, max),
    "tail_probability": (simplex.tail_probability, exact_tail),
    "num_surviving": (simplex.num_surviving, lambda p: mp.mpf(sum(x > 0 for x in p))),
}


PAIRS = {
    "apart": (STATES["asymmetric"], STATES["tied"]),
    "opposed vertices": (STATES["near a vertex"], STATES["near a vertex"][::-1]),
    "one lost in p": (STATES["two lost"], STATES["asymmetric"]),
    "one lost in q": (STATES["asymmetric"], STATES["two lost"]),
    "disjoint": ([0.1, 0.7, -INF, -INF, -INF], [-INF, -INF, 1.0, 0.2, 0.5]),
    "overlapping": ([0.1, 0.7, 0.4, -INF, -INF], [-INF, -INF, 1.0, 0.2, 0.5]),
    "both lost": (STATES["two lost"], [-INF, 0.1, 0.3, -1.0, -INF]),
    "equal": (STATES["asymmetric"], STATES["asymmetric"]),
    "wide": (STATES["wide"], [0.5 * x for x in STATES["wide"]]),
    "in the tail": ([0.0, -1.0, -30.0, -31.0, -2.0], [0.0, -1.0, -31.5, -29.0, -2.0]),
} | {
    f"{epsilon:g} apart": (
        STATES["asymmetric"],
        [x + epsilon * d for x, d in zip(STATES["asymmetric"], [1, -2, 0.3, 0.7, 3], strict=True)],
    )
    for epsilon in (1.0, 0.3, 1e-3, 1e-8, 1e-11)
}


class TestAgainstExactSums:
    @pytest.mark.long
    @pytest.mark.parametrize("state", STATES)
    @pytest.mark.parametrize("name", OBSERVABLES)
    def test_observables(self, name, state):
        function, oracle = OBSERVABLES[name]
        theta = np.array(STATES[state])
        if name == "log_probabilities" and state == "far from 0":
            p = exact_probabilities(theta - 1000.0)
        else:
            p = exact_probabilities(theta)
        assert_close(function(theta), oracle(p))

    @pytest.mark.parametrize("state", STATES)
    def test_renyi_entropy(self, state):
        theta = np.array(STATES[state])
        p = exact_probabilities(theta)
        exact = [exact_renyi_entropy(p, order) for order in ORDERS]
        assert_close(renyi_entropy(theta, np.array(ORDERS)), exact)
        assert_close(
            simplex.effective_number(theta, np.array(ORDERS)), [mp.exp(value) for value in exact]
        )

    @pytest.mark.parametrize("state", STATES)
    def test_fisher_matrix(self, state):
        theta = np.array(STATES[state])
        p = exact_probabilities(theta)
        exact = [
            [x * (mp.fsum(p[:i]) + mp.fsum(p[i + 1 :])) if i == j else -x * y]
            for i, x in enumerate(p)
            for j, y in enumerate(p)
        ]
        assert_close(fisher_matrix(theta), exact)

    @pytest.mark.parametrize("pair", PAIRS)
    def test_kl_divergence(self, pair):
        theta, phi = map(np.array, PAIRS[pair])
        exact = exact_kl(exact_probabilities(theta), exact_probabilities(phi))
        assert_close(kl_divergence(theta, phi), exact)

    @pytest.mark.parametrize("pair", PAIRS)
    def test_renyi_divergence(self, pair):
        theta, phi = map(np.array, PAIRS[pair])
        p, q = exact_probabilities(theta), exact_probabilities(phi)
        exact = [exact_renyi_divergence(p, q, order) for order in ORDERS]
        assert_close(renyi_divergence(theta, phi, np.array(ORDERS)), exact)

    @pytest.mark.parametrize("temperature", [1e-3, 0.5, 1 - 1e-12, 1.0, 1 + 1e-12, 1.7, 1e3])
    @pytest.mark.parametrize("state", STATES)
    def test_tempered_probabilities(self, state, temperature):
        theta = np.array(STATES[state])
        scaled = [x if x == -INF else mp.mpf(x) / mp.mpf(temperature) for x in theta]
        weights = [mp.mpf(0) if x == -INF else mp.exp(x) for x in scaled]
        exact = [w / mp.fsum(weights) for w in weights]
        tempered = probabilities(temper(theta, temperature))
        # x/T is off by u|x/T| once rounded, so that e^{x/T} near 1e-300 keeps 13 digits.
        assert_close(tempered, exact)

    @pytest.mark.long
    def test_a_million_outcomes(self):
        values, counts = np.array([3.0, 0.25, -2.5, -40.0]), np.array([1, 600_000, 399_000, 999])
        theta = np.random.default_rng(0).permutation(np.repeat(values, counts))
        weights = [mp.exp(mp.mpf(v)) for v in values]
        total = mp.fsum(int(n) * w for n, w in zip(counts, weights, strict=True))
        p = [w / total for w in weights]

        def summed(term):
            return mp.fsum(int(n) * term(x) for n, x in zip(counts, p, strict=True))

        exact = {
            simplex.entropy: summed(lambda x: -x * mp.log(x)),
            simplex.heterozygosity: summed(lambda x: x * (1 - x)),
            simplex.mode_probability: p[0],
            simplex.tail_probability: 1 - p[0],
            lambda t: renyi_entropy(t, 0.5): 2 * mp.log(summed(mp.sqrt)),
            lambda t: renyi_entropy(t, 1.1): -10 * mp.log(summed(lambda x: x ** mp.mpf(1.1))),
            lambda t: kl_divergence(t, jnp.zeros_like(t)): summed(lambda x: x * mp.log(x * 10**6)),
        }
        for function, value in exact.items():
            assert_close(function(theta), value)
            assert_close(function(theta.astype(np.float32)), value, tolerance=1e-5)


class TestSingleOutcome:
    theta = jnp.array([4.2])

    @pytest.mark.long
    def test_observables(self):
        zero = [
            simplex.entropy(self.theta),
            simplex.heterozygosity(self.theta),
            simplex.tail_probability(self.theta),
            kl_divergence(self.theta, self.theta + 3),
            fisher_matrix(self.theta)[0, 0],
            *renyi_entropy(self.theta, np.array(ORDERS)),
            *renyi_divergence(self.theta, self.theta, np.array(ORDERS)),
            simplex.centre(self.theta)[0],
            *temper(self.theta, np.array([0.0, 0.5, INF]))[:, 0],
        ]
        np.testing.assert_array_equal(zero, 0.0)
        assert simplex.mode_probability(self.theta) == 1
        assert simplex.num_surviving(self.theta) == 1

    def test_decomposition(self):
        parts = simplex.decomposition(self.theta, self.theta - 1)
        np.testing.assert_array_equal(jnp.stack(parts), [0, 0, 0, 1, 1])


class TestLogits:
    def test_inverse_of_probabilities(self):
        p = np.array([[0.5, 0.3, 0.2], [0.7, 0.3, 0.0]])
        theta = simplex.logits(p)
        np.testing.assert_allclose(probabilities(theta), p, rtol=1e-15)
        assert theta[1, 2] == -INF
        np.testing.assert_allclose(jnp.sum(theta[0]), 0, atol=1e-15)
        np.testing.assert_allclose(jnp.sum(theta[1, :2]), 0, atol=1e-15)

    def test_integers_become_floats(self):
        assert simplex.entropy(np.array([0, 1, 2])).dtype == jnp.float64
        assert probabilities(np.array([0, 0])).tolist() == [0.5, 0.5]

    def test_centre_keeps_lost_outcomes(self):
        centred = simplex.centre(np.array([3.0, -INF, 1.0]))
        np.testing.assert_array_equal(centred, [1.0, -INF, -1.0])


class TestTemper:
    theta = jnp.array([1.5, -INF, 2.0, 2.0, -1.0])

    def test_cold_limit_is_uniform_on_the_modes(self):
        cold = temper(self.theta, 0.0)
        np.testing.assert_array_equal(cold, [-INF, -INF, 0.0, 0.0, -INF])

    def test_hot_limit_is_uniform_on_the_support(self):
        hot = temper(self.theta, INF)
        np.testing.assert_array_equal(hot, [0.0, -INF, 0.0, 0.0, 0.0])

    @pytest.mark.parametrize("temperature", [1e-320, 1e-308, 1e-200, 1e200, 1e308])
    def test_extremes_saturate(self, temperature):
        limit = 0.0 if temperature < 1 else INF
        np.testing.assert_array_equal(
            probabilities(temper(self.theta, temperature)),
            probabilities(temper(self.theta, limit)),
        )

    @pytest.mark.parametrize("temperature", [0.5, 0.999, 1.0, 1.001, 2.0])
    def test_a_million_generations(self, temperature):
        after = jax.jit(lambda T: temper(self.theta, T ** jnp.asarray(10**6)))(temperature)
        power = temperature**10**6 if temperature <= 1 else INF
        np.testing.assert_allclose(probabilities(after), probabilities(temper(self.theta, power)))
        assert not jnp.any(jnp.isnan(after))

    def test_temperatures_broadcast_with_the_batch(self):
        temperatures = jnp.array([0.0, 0.5, 1.0, INF])
        swept = temper(self.theta, temperatures)
        assert swept.shape == (4, 5)
        grid = temper(jnp.stack([self.theta, self.theta[::-1]]), temperatures[:, None])
        assert grid.shape == (4, 2, 5)
        for i, temperature in enumerate(temperatures):
            np.testing.assert_array_equal(swept[i], temper(self.theta, temperature))
            np.testing.assert_array_equal(grid[i, 1], swept[i, ::-1])

    @pytest.mark.parametrize("temperature", [0.0, 1e-308, 1e-200, 1e-3, 1.0, 1e3, 1e200, INF])
    def test_gradients_are_finite(self, temperature):
        def entropy(theta, temperature):
            return simplex.entropy(temper(theta, temperature))

        both = jax.jit(jax.grad(entropy, argnums=(0, 1)))
        for gradient in both(self.theta, temperature):
            assert jnp.all(jnp.isfinite(gradient))

    def test_float32_stays(self):
        tempered = temper(self.theta.astype(jnp.float32), np.float64(1e-60))
        assert tempered.dtype == jnp.float32
        np.testing.assert_array_equal(tempered, [-INF, -INF, 0, 0, -INF])


class TestModes:
    def test_ties_are_exact(self):
        theta = np.array([[0.1, 2.0, 2.0], [0.0, 2.0, np.nextafter(2.0, 3.0)]])
        np.testing.assert_array_equal(simplex.mode(theta), [1, 2])
        np.testing.assert_array_equal(
            simplex.modes(theta), [[False, True, True], [False, False, True]]
        )

    def test_the_tail_leaves_out_every_mode(self):
        theta = np.array([0.0, 0.0, -500.0])
        np.testing.assert_allclose(
            simplex.tail_probability(theta), np.exp(-500.0) / 2, rtol=1e-12, atol=0
        )


class TestMajorises:
    def test_hand_computed(self):
        p, q = np.log([0.2, 0.7, 0.1]), np.log([0.5, 0.3, 0.2])
        assert simplex.majorises(p, q)
        assert not simplex.majorises(q, p)

    def test_incomparable(self):
        p, q = np.log([0.6, 0.2, 0.2]), np.log([0.5, 0.4, 0.1])
        assert not simplex.majorises(p, q)
        assert not simplex.majorises(q, p)
        assert simplex.majorises(p, q, tolerance=0.1001)

    def test_tells_tails_apart(self):
        p, q = np.array([0.0, -691.0]), np.array([0.0, -690.0])
        assert simplex.majorises(p, q)
        assert not simplex.majorises(q, p)


CHANGES = {
    "asymmetric": np.log([0.3, 0.35, 0.2, 0.1, 0.05]),
    "reversed": np.log([0.05, 0.1, 0.2, 0.25, 0.4]),
    "lost": np.array([0.3, -INF, 1.2, -0.7, -INF]),
    "nearly on the mode": np.array([0.0, -30.0, -70.0, -35.0, -28.0]),
    "nearly on the least": np.array([-40.0, -30.0, -70.0, -35.0, 0.0]),
}


class TestDecomposition:
    initial = np.log([0.4, 0.25, 0.2, 0.1, 0.05])

    def exact(self, theta, initial):
        """Return the three parts and b, by bisection."""
        p0, p = exact_probabilities(initial), exact_probabilities(theta)
        kept = [i for i, x in enumerate(p) if x > 0]
        levels = [mp.mpf(float(initial[i])) for i in kept]

        def tilted(b):
            weights = [mp.exp(b * level) for level in levels]
            return [w / mp.fsum(weights) for w in weights]

        def mean(weights):
            return mp.fsum(w * level for w, level in zip(weights, levels, strict=True))

        goal, low, high = mean([p[i] for i in kept]), mp.mpf(-(10**4)), mp.mpf(10**4)
        for _ in range(120):
            middle = (low + high) / 2
            low, high = (middle, high) if mean(tilted(middle)) < goal else (low, middle)
        b = low
        mass, p_b = mp.fsum(p0[i] for i in kept), tilted(b)
        given = [p0[i] / mass for i in kept]
        return -mp.log(mass), exact_kl(p_b, given), exact_kl([p[i] for i in kept], p_b), b

    @pytest.mark.parametrize("change", CHANGES)
    def test_against_root_finding(self, change):
        theta = CHANGES[change]
        lost, temperature, rest, b = self.exact(theta, self.initial)
        parts = simplex.decomposition(theta, self.initial)
        assert_close(parts.lost_modes, lost)
        assert_close(parts.temperature, temperature)
        # The rest can be a small part of the whole: its error is that of the whole.
        np.testing.assert_allclose(parts.rest, float(rest), rtol=1e-11, atol=1e-14)
        assert_close(parts.inverse_temperature, b)
        np.testing.assert_allclose(sum(parts[:3]), kl_divergence(theta, self.initial), rtol=1e-12)

    def test_negative_b_is_no_temperature(self):
        initial = np.log([0.5, 0.3, 0.2])
        parts = simplex.decomposition(np.log([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]]), initial)
        np.testing.assert_allclose(
            parts.inverse_temperature, [-1.026993642978732, -0.175915158767467], rtol=1e-12
        )
        assert jnp.all(jnp.isnan(parts.recovery_temperature))
        assert jnp.all(parts.temperature > 0)

    @pytest.mark.parametrize("temperature", [0.05, 0.8, 1.0, 1.25, 300.0])
    def test_a_temperature_is_undone(self, temperature):
        theta = temper(self.initial, temperature)
        parts = simplex.decomposition(theta, self.initial)
        np.testing.assert_allclose(parts.inverse_temperature, 1 / temperature, rtol=1e-12)
        np.testing.assert_allclose(parts.rest, 0, atol=1e-28)
        assert parts.lost_modes == 0
        np.testing.assert_allclose(
            probabilities(temper(theta, parts.recovery_temperature)),
            probabilities(self.initial),
            rtol=1e-12,
        )

    def test_truncation_is_lost_for_ever_and_nothing_else(self):
        cut = np.where(np.arange(5) < 3, self.initial, -INF)
        parts = simplex.decomposition(cut, self.initial)
        np.testing.assert_allclose(jnp.stack(parts), [-np.log(0.85), 0, 0, 1, 1], atol=1e-15)

    def test_everything_but_the_modes_is_lost(self):
        tied = np.log([0.3, 0.3, 0.3, 0.1])
        parts = simplex.decomposition(np.array([0.0, 0.0, 0.0, -INF]), tied)
        np.testing.assert_allclose(jnp.stack(parts), [-np.log(0.9), 0, 0, 1, 1], atol=1e-15)

    def test_beyond_underflow(self):
        """Probabilities of e^-800 are 0, but the logits still tell them apart."""
        theta = np.array([0.0, -800.0, -900.0, -850.0, -1000.0])
        *_, b = self.exact(theta, self.initial)
        parts = simplex.decomposition(theta, self.initial)
        assert_close(parts.inverse_temperature, b)
        np.testing.assert_allclose(jnp.stack(parts[:3]), [0, -np.log(0.4), 0], atol=1e-15)

    def test_an_outcome_that_was_not_there_is_infinite(self):
        initial = np.array([0.0, 1.0, -INF])
        parts = simplex.decomposition(np.log([0.2, 0.3, 0.5]), initial)
        assert parts.lost_modes == 0
        assert parts.temperature == INF
        assert parts.rest == INF
        assert jnp.isnan(parts.inverse_temperature)
        assert jnp.isnan(parts.recovery_temperature)

    def test_rows_of_a_batch_do_not_disturb_each_other(self):
        batch = np.stack([*CHANGES.values(), self.initial, np.zeros(5)])
        together = simplex.decomposition(batch, self.initial)
        for i, theta in enumerate(batch):
            alone = simplex.decomposition(theta, self.initial)
            for part, expected in zip(together, alone, strict=True):
                np.testing.assert_allclose(part[i], expected, rtol=1e-12, atol=1e-15)

    def test_nearly_flat_and_clustered_levels(self):
        """Two levels within 1e-9 of each other: the mean has a plateau, where Newton overshoots."""
        initial = np.array([0.0, -1e-9, -20.0, -20.0 - 1e-9, -7.0])
        theta = np.array([1.0, 0.0, -3.0, 2.5, -1.0])
        exact = self.exact(theta, initial)
        parts = simplex.decomposition(theta, initial)
        np.testing.assert_allclose(parts.inverse_temperature, float(exact[3]), rtol=1e-10)
        sharp = np.array([3.0, 0.0, -60.0, -61.0, -62.0])
        # Between the two nearest levels: b (1e-9) is of order 1.
        parts = simplex.decomposition(sharp, initial)
        np.testing.assert_allclose(parts.inverse_temperature * 1e-9, 3.0, rtol=1e-6)

    @pytest.mark.slow
    def test_derivatives(self):
        jacobian = jax.jit(
            jax.jacobian(lambda *args: jnp.stack(simplex.decomposition(*args)), (0, 1))
        )
        theta, initial = jnp.array(CHANGES["lost"]), jnp.array(self.initial)
        steps = (
            1e-5 * jnp.array([1.0, -0.7, 0.4, 0.2, -0.5]),
            1e-5 * jnp.array([0.3, 1, -2, 0.5, 1]),
        )
        slope = [
            (after - before) / 2
            for after, before in zip(
                simplex.decomposition(theta + steps[0], initial + steps[1]),
                simplex.decomposition(theta - steps[0], initial - steps[1]),
                strict=True,
            )
        ]
        blocks = jacobian(theta, initial)
        change = sum(block @ step for block, step in zip(blocks, steps, strict=True))
        np.testing.assert_allclose(change, slope, rtol=1e-6)

    def test_derivatives_are_finite_where_outcomes_are_lost(self):
        def total(theta):
            return sum(simplex.decomposition(theta, self.initial)[:4])

        gradient = jax.jit(jax.grad(total))
        for theta in CHANGES.values():
            assert jnp.all(jnp.isfinite(gradient(jnp.array(theta))))


# Everything that maps logits of one shape to numbers, for what must hold of all of them.
FUNCTIONS = {
    "log_probabilities": simplex.log_probabilities,
    "probabilities": simplex.probabilities,
    "centre": simplex.centre,
    "temper": lambda t: simplex.temper(t, 0.7),
    "entropy": simplex.entropy,
    "renyi_entropy below 1": lambda t: simplex.renyi_entropy(t, 0.4),
    "renyi_entropy above 1": lambda t: simplex.renyi_entropy(t, 3.5),
    "renyi_entropy at inf": lambda t: simplex.renyi_entropy(t, INF),
    "heterozygosity": simplex.heterozygosity,
    "effective_number": simplex.effective_number,
    "mode_probability": simplex.mode_probability,
    "tail_probability": simplex.tail_probability,
    "fisher_matrix": simplex.fisher_matrix,
    "kl_divergence": lambda t: simplex.kl_divergence(t, t * 0.5),
    "kl_divergence nearby": lambda t: simplex.kl_divergence(t, t * (1 + 1e-6)),
    "renyi_divergence below 1/2": lambda t: simplex.renyi_divergence(t, t * 0.5, 0.3),
    "renyi_divergence above 1": lambda t: simplex.renyi_divergence(t, t * 0.5, 2.5),
}


COMPILED = {name: jax.jit(function) for name, function in FUNCTIONS.items()}


def weighted_sum(function):
    """One number that sees every finite entry of the value, each with its own weight."""

    def total(theta):
        value = function(theta).ravel()
        return jnp.sum(jnp.where(jnp.isfinite(value), value, 0) * jnp.cos(jnp.arange(value.size)))

    return total


GRADIENTS = {name: jax.jit(jax.grad(weighted_sum(f))) for name, f in FUNCTIONS.items()}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.slow
class TestEveryFunction:
    batch = jnp.array([STATES["asymmetric"], STATES["tied"], STATES["two lost"]])

    def test_batch_jit_and_vmap_agree(self, name):
        expected = jnp.stack([COMPILED[name](row) for row in self.batch])
        for other in (COMPILED[name], jax.jit(jax.vmap(FUNCTIONS[name]))):
            np.testing.assert_allclose(other(self.batch), expected, rtol=1e-13, atol=1e-15)

    def test_gradient_is_the_slope(self, name):
        theta, step = self.batch[0], 1e-4 * jnp.array([1.0, -0.7, 0.4, 0.2, -0.5])
        total = jax.jit(weighted_sum(FUNCTIONS[name]))
        slope = (total(theta + step) - total(theta - step)) / 2
        # Of a divergence of 1e-12 the quotient feels the rounding of t (1 + 1e-6): by 1.1e-6.
        rtol = 3e-6 if name == "kl_divergence nearby" else 1e-6
        np.testing.assert_allclose(jnp.vdot(GRADIENTS[name](theta), step), slope, rtol=rtol)

    def test_gradient_through_lost_outcomes_is_zero_there_and_finite(self, name):
        gradient = GRADIENTS[name](self.batch[2])
        assert jnp.all(jnp.isfinite(gradient))
        np.testing.assert_array_equal(gradient[np.array([0, 4])], 0)

    def test_float32_stays_and_is_accurate(self, name):
        theta = np.array(STATES["asymmetric"], dtype=np.float32)
        value = COMPILED[name](theta)
        assert value.dtype == jnp.float32
        if name != "kl_divergence nearby":  # 1 + 1e-6 is another number in float32
            expected = COMPILED[name](theta.astype(float))
            np.testing.assert_allclose(value, expected, rtol=2e-6, atol=1e-7)


def by_definition(name, theta, phi, order):
    """The same quantities from their definitions, at the working precision."""
    p, q = ([mp.exp(x) for x in logits] for logits in (theta, phi))
    p, q = ([x / mp.fsum(w) for x in w] for w in (p, q))
    if name == "renyi_divergence":
        mean = mp.fsum(x**order * y ** (1 - order) for x, y in zip(p, q, strict=True))
        return mp.log(mean) / (order - 1)
    if name == "renyi_entropy":
        return mp.log(mp.fsum(x**order for x in p)) / (1 - order)
    terms = {
        "kl_divergence": [x * mp.log(x / y) for x, y in zip(p, q, strict=True)],
        "entropy": [-x * mp.log(x) for x in p],
        "heterozygosity": [x * (1 - x) for x in p],
        "tail_probability": [x for x, t in zip(p, theta, strict=True) if t < max(theta)],
        "mode_probability": [max(p)],
    }
    return mp.fsum(terms[name])


QUANTITIES = {
    "renyi_divergence": simplex.renyi_divergence,
    "renyi_entropy": lambda theta, phi, order: simplex.renyi_entropy(theta, order),
    "kl_divergence": lambda theta, phi, order: simplex.kl_divergence(theta, phi),
    "entropy": lambda theta, phi, order: simplex.entropy(theta),
    "heterozygosity": lambda theta, phi, order: simplex.heterozygosity(theta),
    "tail_probability": lambda theta, phi, order: simplex.tail_probability(theta),
    "mode_probability": lambda theta, phi, order: simplex.mode_probability(theta),
}


@pytest.mark.long
@pytest.mark.parametrize("name", QUANTITIES)
def test_gradients_are_the_slopes_across_every_gap(name):
    def differentiate(theta, phi, order, moved):
        given = (theta, phi, order)
        back = jax.grad(QUANTITIES[name], argnums=(0, 1, 2))(*given)
        return back, jax.jvp(QUANTITIES[name], given, moved)[1]

    compiled = jax.jit(differentiate)
    moved = ([1.0, -0.7, 0.4], [0.3, 0.9, -0.5], 0.2)
    for theta, phi in [
        ([1.3, -0.4, -2.0], [0.2, 0.3, 1.0]),
        ([0.0, -800.0, -3.0], [-800.0, 0.0, 1.0]),
        ([400.0, -400.0, 0.3], [0.1, 0.0, 0.4]),
        ([-1.0, 2.0, -40.0], [-1.0, 2.000001, -40.0]),
    ]:
        for order in (0.3, 0.6, 2.5):
            with mp.workdps(800):  # e⁻⁸⁰⁰ is seen beside 1
                step = mp.mpf(10) ** -20
                ends = [
                    by_definition(
                        name,
                        [x + s * step * d for x, d in zip(theta, moved[0], strict=True)],
                        [x + s * step * d for x, d in zip(phi, moved[1], strict=True)],
                        order + s * step * moved[2],
                    )
                    for s in (1, -1)
                ]
                slope = float((ends[0] - ends[1]) / (2 * step))
            arrays = (jnp.array(theta), jnp.array(phi), jnp.asarray(order))
            back, forward = compiled(*arrays, tuple(map(jnp.asarray, moved)))
            backward = math.fsum(np.vdot(a, b) for a, b in zip(back, moved, strict=True))
            np.testing.assert_allclose([float(forward), backward], slope, rtol=1e-9, atol=1e-15)


@pytest.mark.slow
class TestDerivatives:
    def test_fisher_matrix_is_the_jacobian_of_the_probabilities(self):
        theta = jnp.array(STATES["near a vertex"])
        np.testing.assert_allclose(
            simplex.fisher_matrix(theta), jax.jacobian(simplex.probabilities)(theta), atol=1e-15
        )

    def test_hessian_of_kl_is_the_fisher_matrix(self):
        theta, direction = jnp.array(STATES["asymmetric"]), jnp.array([1.0, -0.7, 0.4, 0.2, -0.5])

        @jax.jit
        def curvature(theta, direction):
            divergence = jax.grad(lambda other: simplex.kl_divergence(theta, other))
            return jax.jvp(divergence, (theta,), (direction,))[1]

        np.testing.assert_allclose(
            curvature(theta, direction), fisher_matrix(theta) @ direction, atol=1e-14
        )

    def test_at_ties_the_gradient_is_that_of_the_smooth_function(self):
        theta = jnp.array(STATES["tied"])
        p, S = simplex.probabilities(theta), simplex.entropy(theta)
        np.testing.assert_allclose(
            jax.grad(simplex.entropy)(theta), -p * (jnp.log(p) + S), atol=1e-15
        )


class TestEdgesOfTheNumbers:
    """What overflows, cancels or underflows on the way to a result that does not."""

    @pytest.mark.parametrize("shift", [1e6, -3e9, 1e12])
    @pytest.mark.parametrize("apart", [1e-8, 1.0])
    def test_a_shift_of_one_of_two_models_costs_no_digit(self, shift, apart):
        theta = np.array(STATES["asymmetric"]) + shift
        phi = np.array(PAIRS[f"{apart:g} apart"][1])
        p, q = exact_probabilities(theta), exact_probabilities(phi)
        assert_close(kl_divergence(theta, phi), exact_kl(p, q))
        assert_close(kl_divergence(phi, theta), exact_kl(q, p))
        exact = [exact_renyi_divergence(p, q, order) for order in ORDERS]
        assert_close(renyi_divergence(theta, phi, np.array(ORDERS)), exact)

    def test_a_lost_outcome_that_hardly_was_there(self):
        whole = np.array([0.0, -1.0, 0.5, -50.0, -49.5])
        lost = np.where(whole == -50, -INF, whole)
        p, q = exact_probabilities(lost), exact_probabilities(whole)
        for first, second, x, y in ((lost, whole, p, q), (whole, lost, q, p)):
            exact = [exact_renyi_divergence(x, y, order) for order in ORDERS]
            assert_close(renyi_divergence(first, second, np.array(ORDERS)), exact)
        assert float(renyi_divergence(lost, whole, INF)) == pytest.approx(6.3937857e-23, rel=1e-8)

    @pytest.mark.parametrize(
        "pair", ["1e-11 apart", "1 apart", "one lost in p", "opposed vertices"]
    )
    def test_log_ratio_and_difference(self, pair):
        theta, phi = map(np.array, PAIRS[pair])
        p, q = exact_probabilities(theta), exact_probabilities(phi)
        found, exact = (
            np.asarray(simplex.difference(theta, phi)),
            [x - y for x, y in zip(p, q, strict=True)],
        )
        largest = max(abs(d) for d in exact)
        assert all(
            abs(mp.mpf(float(f)) - d) < 1e-12 * largest for f, d in zip(found, exact, strict=True)
        )
        ratio = np.asarray(simplex.log_ratio(theta, phi))
        exact = [
            mp.log(x / y) if x * y > 0 else (mp.inf if x > 0 else -mp.inf)
            for x, y in zip(p, q, strict=True)
        ]
        largest = max(abs(r) for r in exact if mp.isfinite(r))
        for f, r in zip(ratio, exact, strict=True):
            assert f == r or abs(mp.mpf(float(f)) - r) < 1e-12 * largest

    def test_orders_within_1e_9_of_1_and_tails_of_1e_300(self):
        theta, phi = (
            np.array([0, -690.0, -691, -700, -689]),
            np.array([0, -689.0, -692, -700, -688]),
        )
        orders = np.resize([1 - 1e-9, 1 + 1e-9, 1 - 1e-12, 1 + 1e-12, 1 - 2e-16, 1.0], len(ORDERS))
        p, q = exact_probabilities(theta), exact_probabilities(phi)
        exact = [exact_renyi_entropy(p, order) for order in orders]
        assert_close(renyi_entropy(theta, orders), exact)
        exact = [exact_renyi_divergence(p, q, order) for order in orders]
        assert_close(renyi_divergence(theta, phi, orders), exact)

    def test_the_slope_of_the_renyi_entropy_at_order_1(self):
        p = np.exp(STATES["asymmetric"]) / np.exp(STATES["asymmetric"]).sum()
        variance = np.sum(p * np.log(p) ** 2) - np.sum(p * np.log(p)) ** 2
        slope = jax.grad(lambda order: renyi_entropy(np.array(STATES["asymmetric"]), order))(1.0)
        np.testing.assert_allclose(slope, -variance / 2, rtol=1e-12)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_differences_that_overflow_lose_no_outcome(self, dtype):
        large = dtype(0.6) * np.finfo(dtype).max
        theta = np.array([large, 0, -large, 5, large], dtype)
        lowest = np.finfo(dtype).min
        log_half = dtype(np.log(0.5))
        expected = np.array([log_half, -large, lowest, -large, log_half])
        np.testing.assert_allclose(simplex.log_probabilities(theta), expected)
        np.testing.assert_array_equal(probabilities(theta), [0.5, 0, 0, 0, 0.5])
        centred = np.asarray(simplex.centre(theta))
        np.testing.assert_allclose(centred / large, [0.8, -0.2, -1.2, -0.2, 0.8], rtol=1e-6)
        assert simplex.num_surviving(simplex.centre(theta)) == 5
        for name, value in (
            ("entropy", np.log(2)),
            ("heterozygosity", 0.5),
            ("mode_probability", 0.5),
        ):
            np.testing.assert_allclose(getattr(simplex, name)(theta), value, rtol=1e-6)
        orders = np.array(ORDERS)
        expected = np.where(orders == 0, np.log(5), np.log(2))
        np.testing.assert_allclose(renyi_entropy(theta, orders), expected, rtol=1e-5)
        assert simplex.tail_probability(theta) == 0
        other = np.array([-large, 0, large, 1, 2], dtype)
        for first, second in ((theta, other), (other, theta)):
            divergence = np.append(
                renyi_divergence(first, second, orders), kl_divergence(first, second)
            )
            assert not np.isnan(divergence).any()
            assert np.all(divergence[1:-1] > 0)
            assert not any(np.isnan(part) for part in simplex.decomposition(first, second)[:4])
        assert kl_divergence(theta, theta) == 0
        assert bool(majorises(theta, theta))

    @pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-7), (np.float64, 1e-15)])
    def test_a_difference_that_overflows_but_not_over_the_temperature(self, dtype, tolerance):
        theta = np.array([3e38, -3e38], np.float32).astype(dtype)
        theta *= np.finfo(dtype).max / np.finfo(np.float32).max
        temperature = theta[0]  # gaps of 2 temperatures
        p = np.asarray(probabilities(temper(theta, temperature)))
        np.testing.assert_allclose(p, 1 / (1 + np.exp([-2.0, 2.0])), rtol=tolerance)
        assert num_lost(temper(theta, 1.0)) == num_lost(temper(theta, 1.5)) == 0
        assert num_lost(temper(theta, 0.5)) == 1  # as at T = 0: the temperature's own limit

    @pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 5e-6), (np.float64, 1e-12)])
    def test_rows_masked_with_the_lowest_number_decompose(self, dtype, tolerance):
        mask = np.finfo(dtype).min
        initial = np.array([1.0, 0.2, -0.5, mask, mask], dtype)
        for changed in ([0.5, 0.3, 0.1, mask, mask], [2.0, 0.4, -1.0, mask, mask]):
            changed = np.array(changed, dtype)
            parts = simplex.decomposition(changed, initial)
            p, q = (np.where(row == mask, -INF, row.astype(float)) for row in (changed, initial))
            expected = simplex.decomposition(p, q)  # the mask has no weight
            np.testing.assert_allclose(parts, expected, rtol=tolerance, atol=tolerance / 10)
            assert parts[0].dtype == dtype


def num_lost(logits):
    return int(np.sum(np.isneginf(logits)))


class TestBadInput:
    def test_no_outcomes(self):
        with pytest.raises(ValueError, match="`logits` must have at least one outcome"):
            simplex.entropy(np.zeros((3, 0)))

    def test_different_numbers_of_outcomes(self):
        with pytest.raises(
            ValueError, match=r"`\w+` must have 3 outcomes in the last axis; got shape \(4,\)"
        ):
            simplex.kl_divergence(np.zeros(3), np.zeros(4))

    def test_negative_temperature(self):
        with pytest.raises(ValueError, match=r"`temperature` must be >= 0; got -0\.5\."):
            simplex.temper(np.zeros(3), -0.5)

    def test_negative_order(self):
        with pytest.raises(ValueError, match=r"`order` must be >= 0; got -1\.0\."):
            simplex.renyi_entropy(np.zeros(3), -1.0)

    def test_probabilities_that_do_not_sum_to_one(self):
        with pytest.raises(ValueError, match=r"`probabilities` must sum to 1; got 0\.9\."):
            simplex.logits(np.array([0.5, 0.4]))


# Properties, on five outcomes --------------------------------------------------------------------

LOGITS = hnp.arrays(float, 5, elements=st.floats(-30, 30)).map(
    lambda theta: np.where(theta < -28, -INF, theta) if theta.max() > -28 else theta
)
TEMPERATURES = st.floats(1e-3, 1e3)


class TestProperties:
    @given(LOGITS, st.floats(-100, 100))
    def test_a_shift_changes_nothing(self, theta, shift):
        np.testing.assert_allclose(probabilities(theta + shift), probabilities(theta), rtol=1e-12)

    @given(LOGITS, TEMPERATURES, TEMPERATURES)
    def test_temperatures_multiply(self, theta, first, second):
        twice = temper(temper(theta, first), second)
        once = temper(theta, first * second)
        np.testing.assert_allclose(twice, once, rtol=1e-14)

    @given(LOGITS, st.floats(1e-3, 0.999))
    def test_cooling_majorises(self, theta, temperature):
        cooled = temper(theta, temperature)
        assert majorises(cooled, theta, tolerance=1e-15)
        assert renyi_entropy(cooled, 1.0) <= renyi_entropy(theta, 1.0) * (1 + 1e-14)

    @given(LOGITS)
    def test_renyi_entropy_does_not_increase_with_the_order(self, theta):
        values = np.asarray(renyi_entropy(theta, np.array(ORDERS)))
        assert np.all(np.diff(values) <= 1e-13 * values[:-1])
        np.testing.assert_allclose(values[0], np.log(np.sum(theta > -INF)), rtol=1e-14)

    @given(LOGITS, LOGITS)
    def test_renyi_divergence_is_positive_and_does_not_decrease_with_the_order(self, theta, phi):
        values = np.asarray(renyi_divergence(theta, phi, np.array(ORDERS)))
        assert np.all(values >= 0)
        assert np.all((values[1:] >= values[:-1] * (1 - 1e-13)) | (values[1:] == INF))

    @given(LOGITS, hnp.arrays(float, 5, elements=st.floats(-30, 30)))
    def test_the_parts_of_a_change_add_up(self, theta, initial):
        parts = simplex.decomposition(theta, initial)
        for part in parts[:3]:
            assert part >= 0
        # The second part moves by (b - 1) times the rounding of a mean of log p₀.
        rounding = 1e-13 * max(1, abs(float(parts.inverse_temperature)))
        np.testing.assert_allclose(
            sum(parts[:3]), kl_divergence(theta, initial), rtol=1e-12, atol=rounding
        )

    @given(LOGITS)
    def test_fisher_matrix_has_rows_that_sum_to_zero(self, theta):
        fisher = fisher_matrix(theta)
        np.testing.assert_allclose(np.sum(fisher, -1), 0, atol=1e-15)
        np.testing.assert_allclose(np.trace(fisher), heterozygosity(theta), rtol=1e-14)


def test_how_far_chosen_logits_are_below_the_largest_of_them():
    theta = jnp.array([[1.0, -jnp.inf, 3.0, 0.0], [1.7e308, -1.7e308, 0.0, 5.0]])
    chosen = jnp.array([[True, False, False, True], [True, True, False, False]])
    largest = np.finfo(float).max
    np.testing.assert_array_equal(simplex.below(theta, chosen), [[0, 0, 0, 1], [0, largest, 0, 0]])
    np.testing.assert_array_equal(simplex.total(jnp.ones((2, 3))), [[3], [3]])


def test_several_parameters_broadcast_with_one_batch():
    theta, T, t = simplex.per_distribution(jnp.zeros((3, 5)), 0.5, jnp.ones((2, 1)))
    assert theta.shape == (2, 3, 5)
    assert T.shape == t.shape == (2, 3, 1)
