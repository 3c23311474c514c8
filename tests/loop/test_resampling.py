"""The fast engine for refits to few samples against the exact chain."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import gammaincc

import fixedpoint as fp
from fixedpoint.kernels.random import seeds
from fixedpoint.kernels.resampling import draw_binomials, thermometer
from fixedpoint.laws import fixation
from fixedpoint.loop import resampling
from fixedpoint.loop.enumeration import all_counts
from fixedpoint.loop.resampling import run_refits, run_resampling

REPLICATES = 20_000
TWO, THREE = jnp.log(jnp.array([0.7, 0.3])), jnp.log(jnp.array([0.55, 0.3, 0.15]))
# The largest number of samples for the walk and for the thermometer: who draws is decided by them.
ENGINES = {"walk": (10_000, 0), "thermometer": (0, 256), "NumPy": (0, 0), "all": (10_000, 256)}


def resampling_loop(num_samples, *samplers):
    return fp.Loop(samplers or fp.Temperature(1.0), fp.Fresh(num_samples))


def chi_square(counts, chain, law):
    """The probability of a worse agreement of the counts, shape (R, K), with the exact law."""
    place = {tuple(state): index for index, state in enumerate(chain.counts.tolist())}
    found = np.zeros(len(law))
    for state, number in zip(*np.unique(counts, axis=0, return_counts=True), strict=True):
        found[place[tuple(state.tolist())]] += number
    assert np.all(found[law == 0] == 0)
    order = np.argsort(-law)
    expected, found = law[order] * len(counts), found[order]
    rest = int((expected >= 8).sum())  # rare states are one
    expected = np.append(expected[:rest], expected[rest:].sum())
    found = np.append(found[:rest], found[rest:].sum())
    if expected[-1] < 8:
        expected = np.append(expected[:-2], expected[-2:].sum())
        found = np.append(found[:-2], found[-2:].sum())
    statistic = ((found - expected) ** 2 / expected).sum()
    return float(gammaincc((len(expected) - 1) / 2, statistic / 2))


def exact(loop_of, num_outcomes):
    return fp.chain.from_loop(resampling_loop(*loop_of), num_outcomes)


def compare(loop_of, start, generations, key):
    loop, n = resampling_loop(*loop_of), loop_of[0]
    chain = exact(loop_of, len(start))
    runs = run_resampling(
        loop, start, max(generations), key=key, num_replicates=REPLICATES, save_at=generations
    )
    counts = np.rint(np.exp(runs.value) * n).astype(int)
    assert np.all(counts.sum(-1) == n)
    first = chain.first_generation(start)
    return [
        chi_square(found, chain, fp.chain.law(chain, generation - 1, first))
        for generation, found in zip(generations, counts, strict=True)
    ]


FEW = [("walk", 0.5), ("thermometer", 2.0)]
ALL = [(engine, temperature) for engine in ENGINES for temperature in (0.5, 1.0, 2.0)]


def slow_but(few, every):
    return [one if one in few else pytest.param(*one, marks=pytest.mark.slow) for one in every]


@pytest.mark.parametrize(("engine", "temperature"), slow_but(FEW, ALL))
def test_law_of_two_outcomes_is_the_exact_chains(key, monkeypatch, engine, temperature):
    monkeypatch.setattr(resampling, "_WALK", ENGINES[engine][0])
    monkeypatch.setattr(resampling, "_THERMOMETER", ENGINES[engine][1])
    assert min(compare((7, fp.Temperature(temperature)), TWO, [1, 3, 10], key)) > 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["thermometer", "NumPy", "all"])
@pytest.mark.parametrize("samplers", [(0.6,), (1.7,), (1.7, fp.TopK(2))])
def test_law_of_three_outcomes_is_the_exact_chains(key, monkeypatch, engine, samplers):
    monkeypatch.setattr(resampling, "_WALK", ENGINES[engine][0])
    monkeypatch.setattr(resampling, "_THERMOMETER", ENGINES[engine][1])
    loop_of = (6, fp.Temperature(samplers[0]), *samplers[1:])
    assert min(compare(loop_of, THREE, [2, 6], key)) > 1e-6


def ranked(counts):
    return sorted(range(len(counts)), key=lambda i: (-counts[i], i))


def fewest(counts, mass):
    """The most probable outcomes, until their share is the mass, in whole numbers."""
    order = ranked(counts)
    sizes = np.cumsum([counts[i] for i in order]).tolist()
    number = sum(Fraction(size, sum(counts)) < mass for size in sizes[:-1]) + 1
    return {i for i in order[:number] if counts[i]}


BORDERS = {
    "nucleus": (fp.Nucleus(0.75), lambda counts: fewest(counts, Fraction(3, 4))),
    "min-p": (fp.MinP(0.1), lambda counts: {i for i in (0, 1, 2) if 10 * counts[i] >= max(counts)}),
    "top-k": (fp.TopK(2), lambda counts: {i for i in ranked(counts)[:2] if counts[i]}),
    "modes": (
        fp.Temperature(0.0),
        lambda counts: {i for i in (0, 1, 2) if counts[i] == max(counts)},
    ),
}
"""Samplers that cut, and what is left of three counts: judged in whole numbers."""


@pytest.mark.parametrize("name", BORDERS)
def test_all_engines_cut_the_same_on_every_border(name):
    """Twelve samples of three outcomes: run, both kernels, NumPy's part and the exact chain."""
    sampler, judge = BORDERS[name]
    counts, n = all_counts(3, 12), 12
    kept = np.array([[i in judge(row) for i in range(3)] for row in counts.tolist()])
    loop = resampling_loop(n, sampler)
    with np.errstate(divide="ignore"):
        logits = np.log(counts / n)

    @jax.jit
    def drawn_by_run(logits):
        # From what the learner has made of the shares.
        return sampler(fp.Refit()(jnp.zeros_like(logits), fp.loop.Target(logits, n), None))

    for dtype in (jnp.float64, jnp.float32):
        found = drawn_by_run(jnp.asarray(logits, dtype))
        assert found.dtype == dtype
        np.testing.assert_array_equal(found > -jnp.inf, kept)
    # The walk's tables and NumPy's weights.
    leaves, parts = jax.tree.flatten((sampler,))
    for given in (logits, logits + np.log(n)):
        found = np.asarray(resampling._tempered(parts, leaves, given))
        np.testing.assert_array_equal(found > 0, kept)
    # The kernel of a few samples, 24 times from every state: all that is left is drawn once.
    states = np.repeat(counts, 24, axis=0).astype(np.int32)
    words = seeds(jax.random.key(1), jnp.float64, len(states))[:, 0]
    one = jnp.asarray(1)  # generation
    run = jax.jit(lambda words, counts: thermometer(False, n, words, counts, one, (sampler,))[1])
    drawn = np.asarray(run(words, states)).reshape(len(counts), 24, 3)
    np.testing.assert_array_equal(drawn.any(1), kept)
    # The chain: a state is reached if it has no outcome that was cut.
    chain = fp.chain.from_loop(loop, 3)
    reached = ~((chain.counts > 0)[None] & ~kept[:, None]).any(-1)
    np.testing.assert_array_equal(chain.counts, counts)
    np.testing.assert_array_equal(chain.matrix > 0, reached)


@pytest.mark.parametrize(
    ("engine", "sampler"),
    [
        ("walk", fp.Nucleus(0.75)),
        ("thermometer", fp.MinP(1 / 3)),
        pytest.param("NumPy", fp.Nucleus(0.75), marks=pytest.mark.slow),
    ],
)
def test_law_on_a_border_is_the_exact_chains(key, monkeypatch, engine, sampler):
    """Six of eight samples are 0.75 exactly, and two a third of six."""
    monkeypatch.setattr(resampling, "_WALK", ENGINES[engine][0])
    monkeypatch.setattr(resampling, "_THERMOMETER", ENGINES[engine][1])
    assert min(compare((8, sampler), TWO, [1, 3, 10], key)) > 1e-6


def test_the_comparison_tells_near_misses_apart(key):
    chain = exact((7, fp.Temperature(1.0)), 2)
    runs = run_resampling(
        resampling_loop(7), TWO, 3, key=key, num_replicates=REPLICATES, save_at=[3]
    )
    counts = np.rint(np.exp(runs.value[0]) * 7).astype(int)
    first = chain.first_generation(TWO)
    for wrong in (1, 3):  # one generation less or more
        assert chi_square(counts, chain, fp.chain.law(chain, wrong, first)) < 1e-9


@pytest.mark.parametrize("num_samples", [301, pytest.param(2000, marks=pytest.mark.slow)])
def test_two_outcomes_with_many_samples(key, num_samples):
    """Mean and variance at T = 1, where they are known: a martingale, 1 − (1 − 1/n)^t."""
    generation = num_samples // 4
    runs = run_resampling(
        resampling_loop(num_samples),
        TWO,
        generation,
        key=key,
        num_replicates=4000,
        observe=lambda logits: jnp.exp(logits[0]),
        save_at=[generation],
    )
    variance = 0.21 * (1 - (1 - 1 / num_samples) ** generation)
    deviations = runs.value[0] - 0.7
    assert abs(deviations.mean()) < 5 * np.sqrt(variance / 4000)
    # Near the normal law: the fourth moment is below three times the square of the variance.
    assert abs((deviations**2).mean() - variance) < 5 * variance * np.sqrt(2 / 4000)


@pytest.mark.slow
@pytest.mark.parametrize(("num_samples", "num_outcomes"), [(30, 500), (400, 60)])
def test_survivors_are_those_of_ancestral_occupancy(key, num_samples, num_outcomes):
    p = 1 / np.arange(1, num_outcomes + 1)
    runs = run_resampling(
        resampling_loop(num_samples),
        jnp.log(p),
        20,
        key=key,
        num_replicates=1000,
        observe={"alive": fp.simplex.num_surviving, "first": lambda logits: jnp.exp(logits[0])},
        save_at=[1, 5, 20],
    )
    for index, generation in enumerate([1, 5, 20]):
        expected = fixation.survivors(jnp.log(p), num_samples, generation)
        # Survivors are negatively associated: their number varies less than a Poisson variate.
        error = np.sqrt(expected / 1000)
        assert abs(runs.value["alive"][index].mean() - expected) < 5 * error
    share = 1 / p.sum()
    variance = share * (1 - share) * (1 - (1 - 1 / num_samples) ** 20)
    assert abs(runs.value["first"][2].mean() - share) < 5 * np.sqrt(variance / 1000)


def test_a_lost_outcome_stays_lost(key):
    start = jnp.where(jnp.arange(40) % 3 == 1, -jnp.inf, jnp.linspace(1.0, -3.0, 40))
    runs = run_resampling(resampling_loop(300), start, 60, key=key, num_replicates=8)
    alive = np.isfinite(runs.value)
    assert np.all(alive[1:] <= alive[:-1])
    assert alive[0].sum() == 8 * np.isfinite(start).sum()
    np.testing.assert_allclose(np.exp(runs.value).sum(-1)[1:], 1, rtol=1e-12)


@pytest.mark.parametrize("num_samples", [2**31 - 1, 2**31, 5 * 10**9, 10**12])
def test_any_number_of_samples(key, num_samples):
    """Counts beyond 32 bits: the mean and the variance p q/n of one generation, and of two."""
    start, replicates = jnp.log(jnp.array([0.9, 0.02, 0.08])), 2_000
    runs = run_resampling(
        resampling_loop(num_samples),
        start,
        2,
        key=key,
        num_replicates=replicates,
        observe=jnp.exp,
        save_at=[1, 2],
    )
    p = np.exp(np.asarray(start))
    for generation, shares in enumerate(np.asarray(runs.value), start=1):
        np.testing.assert_allclose(shares.sum(-1), 1, rtol=1e-15 * 10)
        variance = p * (1 - p) * -np.expm1(generation * np.log1p(-1 / num_samples))
        z = (shares - p) / np.sqrt(variance)
        assert np.all(np.abs(z.mean(0)) < 5 / np.sqrt(replicates))
        assert np.all(np.abs((z**2).mean(0) - 1) < 5 * np.sqrt(2 / replicates))


def test_tempered_counts_beyond_the_table(key):
    """Too many samples for a table of weights: T = 1/2 takes (0.6, 0.4) to 9 : 4."""
    loop = resampling_loop(3 * 10**9, fp.Temperature(0.5))
    start = jnp.log(jnp.array([0.6, 0.4]))
    runs = run_resampling(
        loop, start, 3, key=key, num_replicates=20, observe=jnp.exp, save_at=[1, 3]
    )
    for power, shares in zip((2, 8), np.asarray(runs.value), strict=True):
        np.testing.assert_allclose(shares[:, 0], 1 / (1 + (2 / 3) ** power), rtol=2e-4)


def test_the_rarest_are_drawn_as_often_as_they_should(key):
    """Behind outcomes whose probabilities nearly add up to 1: n p = 3, p = 3e-12."""
    start = jnp.log(jnp.array([0.5, 0.5, 3e-12, 1e-12]))
    runs = run_resampling(
        resampling_loop(10**12), start, 1, key=key, num_replicates=4_000, save_at=[1]
    )
    counts = np.rint(np.exp(np.asarray(runs.value[0])) * 1e12)
    for place, mean in ((2, 3.0), (3, 1.0)):
        assert abs(counts[:, place].mean() - mean) < 5 * np.sqrt(mean / 4_000)
        variance = counts[:, place].var()
        assert abs(variance - mean) < 5 * np.sqrt((2 * mean**2 + mean) / 4_000)


def test_numpys_leftovers_go_to_no_lost_outcome():
    class Leftover:
        def multinomial(self, n, p):
            return np.array([[2, 3, 1], [1, 4, 1]])

    p = np.array([[0.2, 0.8, 0.0], [0.1, 0.8, 0.1]])
    counts = draw_binomials(Leftover(), 6, p)  # pyright: ignore[reportArgumentType]
    assert counts.tolist() == [[2, 4, 0], [1, 4, 1]]


@pytest.mark.parametrize("num_samples", [pytest.param(20, marks=pytest.mark.slow), 500])
def test_replicates_depend_on_the_key_and_their_number_alone(key, num_samples):
    loop, start = resampling_loop(num_samples, fp.Temperature(1.2)), jnp.linspace(0.0, -2.0, 9)
    few = run_resampling(loop, start, 40, key=key, num_replicates=3, save_at=[7, 40])
    many = run_resampling(loop, start, 60, key=key, num_replicates=300, save_at=[0, 40, 60])
    np.testing.assert_array_equal(few.value[1], many.value[1, :3])
    np.testing.assert_allclose(many.value[0], jnp.tile(start, (300, 1)), rtol=1e-14)
    assert len({tuple(row) for row in np.asarray(many.value[1]).tolist()}) > 100


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loop": fp.Loop()}, "`loop` must be Loop"),
        ({"loop": fp.Loop(corpus=fp.Fresh(3), learner=fp.Refit(0.5))}, "without pseudo-counts"),
        ({"loop": resampling_loop(10**12 + 1)}, "`num_samples` must be at most 1,000,000,000,000"),
        ({"num_generations": -1}, "`num_generations` must be"),
        ({"num_replicates": 0}, "`num_replicates` must be"),
        ({"save_at": [3, 2]}, "`save_at` must increase"),
        ({"save_at": [11]}, "`save_at` must increase"),
    ],
)
def test_misuse_is_named(change, message):
    arguments = {
        "loop": resampling_loop(5),
        "logits": THREE,
        "num_generations": 10,
        "key": jax.random.key(0),
        "num_replicates": 2,
        **change,
    }
    with pytest.raises(ValueError, match=message):
        run_resampling(
            arguments.pop("loop"),
            arguments.pop("logits"),
            arguments.pop("num_generations"),
            **arguments,
        )


# --- Many contexts --------------------------------------------------------------------------------

TABLE = jnp.log(jnp.array([[0.55, 0.3, 0.15], [0.2, 0.5, 0.3], [0.0, 0.6, 0.4], [0.0, 1.0, 0.0]]))
"""Four contexts of three outcomes, some of them lost."""

LOCAL = {
    "entropy": fp.simplex.entropy,
    "heterozygosity": fp.simplex.heterozygosity,
    "effective": fp.simplex.effective_number,
    "largest": fp.simplex.mode_probability,
    "alive": fp.simplex.num_surviving,
}


def all_of(function):
    """The same function, which is not known to be one that lost outcomes do not matter to."""
    return lambda logits: function(logits)


@pytest.mark.parametrize("num_samples", [1, 6, 300])
def test_each_context_has_its_exact_law(key, num_samples):
    """Means of the first probability and of the heterozygosity at T = 1, with their variances."""
    runs = run_resampling(
        resampling_loop(num_samples),
        TABLE.reshape(2, 2, 3),
        3,
        key=key,
        num_replicates=4_000,
        observe={"p": jnp.exp, "H": fp.simplex.heterozygosity},
        save_at=[1, 3],
    )
    p = np.exp(np.asarray(TABLE))
    assert runs.value["p"].shape == (2, 4_000, 2, 2, 3)
    for index, generation in enumerate([1, 3]):
        kept = (1 - 1 / num_samples) ** generation
        found = np.asarray(runs.value["p"][index]).reshape(4_000, 4, 3)
        error = np.sqrt(p * (1 - p) * (1 - kept) / 4_000)
        assert np.all(np.abs(found.mean(0) - p) <= 5 * error + 1e-15)
        expected = (1 - (p**2).sum(-1)) * kept
        found = np.asarray(runs.value["H"][index]).reshape(4_000, 4)
        # It lies between 0 and 2/3, so that its variance is at most mean · (2/3 − mean).
        error = np.sqrt(expected * (2 / 3 - expected) / 4_000)
        assert np.all(np.abs(found.mean(0) - expected) <= 5 * error + 1e-15)


def test_contexts_and_replicates_are_drawn_each_for_itself(key, monkeypatch):
    """Whatever their number, the size of blocks, and what else is saved."""
    table = jnp.asarray(np.random.default_rng(0).normal(size=(5, 40)) * 2)
    for num_samples in (20, 35, 900):
        loop = resampling_loop(num_samples, fp.Temperature(0.9))
        whole = run_resampling(loop, table, 12, key=key, num_replicates=70, save_at=[1, 5, 12])
        few = run_resampling(loop, table[:2], 12, key=key, num_replicates=3, save_at=[5, 12])
        np.testing.assert_array_equal(whole.value[1:, :3, :2], few.value)
        with monkeypatch.context() as patch:
            patch.setattr(resampling, "_COUNTS", 2_000)
            blocks = run_resampling(
                loop, table, 12, key=key, num_replicates=70, observe=LOCAL, save_at=[0, 5, 12]
            )
        for name, function in LOCAL.items():
            expected = jax.vmap(function)(whole.value[1:])
            np.testing.assert_allclose(blocks.value[name][1:], expected, rtol=1e-12, atol=1e-15)
        together = np.asarray(whole.value[1])
        assert len({row.tobytes() for row in together.reshape(-1, 40)}) > 300


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
@pytest.mark.parametrize("num_samples", [15, 2_000])
def test_what_is_read_off_survivors_is_what_all_logits_give(key, num_samples, dtype):
    """Known functions, and one that compares with generation 0, beside the same of all logits."""
    table = jnp.asarray(np.random.default_rng(1).normal(size=(3, 200)) * 3, dtype)
    table = table.at[1, ::3].set(-jnp.inf)
    observe = {
        **LOCAL,
        "all": {name: all_of(function) for name, function in LOCAL.items()},
        "joint": lambda logits: fp.simplex.entropy(logits).mean(),
        "index": fp.simplex.mode,
    }
    runs = run_resampling(
        resampling_loop(num_samples),
        table,
        4,
        key=key,
        num_replicates=6,
        observe=observe,
        save_at=[0, 1, 4],
    )
    tolerance = 1e-12 if dtype == jnp.float64 else 1e-5
    for name in LOCAL:
        assert runs.value[name].shape == (3, 6, 3)
        assert runs.value[name].dtype == runs.value["all"][name].dtype
        np.testing.assert_allclose(runs.value[name], runs.value["all"][name], rtol=tolerance)
    np.testing.assert_allclose(
        runs.value["joint"], runs.value["entropy"].mean(-1), rtol=10 * tolerance
    )
    assert runs.value["index"].shape == (3, 6, 3)


@pytest.mark.parametrize("num_samples", [1, 2, 100, 3_000])
def test_a_run_goes_on_as_one_long_run(key, num_samples):
    table = jnp.asarray(np.random.default_rng(2).normal(size=(2, 3, 30)))
    settings = {"key": key, "num_replicates": 5, "observe": None}
    loop = resampling_loop(num_samples, fp.Temperature(1.1))
    for stop in (0, 1, 4, 7):
        value, whole = run_refits(loop, table, saved=np.array([stop, 20]), **settings)
        early, state = run_refits(loop, table, saved=np.array([stop]), **settings)
        late, end = run_refits(loop, table, saved=np.array([20]), state=state, **settings)
        np.testing.assert_array_equal(value, np.concatenate([early, late]))
        assert (state.generation, end.generation) == (stop, 20)
        assert end.counts.shape[:3] == (5, 2, 3)
        np.testing.assert_array_equal(whole.counts.sum(-1), num_samples)


def test_one_outcome_and_ties_and_fifty_thousand(key):
    loop = resampling_loop(10, fp.Temperature(0.0))
    runs = run_resampling(loop, jnp.zeros((2, 1)), 3, key=key, num_replicates=2)
    np.testing.assert_array_equal(runs.value, 0)
    table = jnp.zeros((2, 50_000)).at[1, 7].set(1.0)
    runs = run_resampling(loop, table, 1, key=key, num_replicates=50, observe=LOCAL, save_at=[1])
    # Ten draws among 50,000 equals, one pair of which is the same with chance 1e-3; and the mode.
    assert np.mean(runs.value["alive"][0, :, 0] < 10) < 0.1
    np.testing.assert_array_equal(runs.value["alive"][0, :, 1], 1)
