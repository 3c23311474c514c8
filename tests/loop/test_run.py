"""Running a loop: what is saved, compiled, random and lost."""

import itertools
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint import simplex

P0 = jnp.array([0.5, 0.3, 0.15, 0.05])
THETA = jnp.log(P0)


# Compiled as a whole: operation by operation, each is a compilation of its own.
centre = jax.jit(simplex.centre)


class Counter:
    """An observable that counts how often it is traced."""

    def __init__(self):
        self.traces = 0

    def __call__(self, logits):
        self.traces += 1
        return simplex.entropy(logits)


def test_generations_and_values():
    loop = fp.Loop(sampler=fp.Temperature(0.8))
    runs = fp.run(loop, THETA, 6)
    assert runs.generation.tolist() == list(range(7))
    expected = centre(THETA)[None] / 0.8 ** np.arange(7)[:, None]
    np.testing.assert_allclose(centre(runs.value), expected, rtol=1e-14)
    some = fp.run(loop, THETA, 6, save_at=[0, 1, 4])
    np.testing.assert_array_equal(some.value, runs.value[jnp.array([0, 1, 4])])
    last = fp.run(loop, THETA, 6, save_at=np.array([5]))
    np.testing.assert_array_equal(last.value, runs.value[5:6])
    nothing = fp.run(loop, THETA, 0)
    np.testing.assert_array_equal(nothing.value, THETA[None])


@pytest.mark.slow
def test_observables_keep_their_structure(key):
    loop = fp.Loop(corpus=fp.Fresh(10))
    observe = {"spread": (simplex.entropy, simplex.heterozygosity), "alive": simplex.num_surviving}
    runs = fp.run(loop, THETA, 3, key=key, num_replicates=5, observe=observe)
    logits = fp.run(loop, THETA, 3, key=key, num_replicates=5).value
    assert logits.shape == (4, 5, 4)
    np.testing.assert_allclose(
        runs.value["spread"][1], jax.jit(simplex.heterozygosity)(logits), rtol=1e-13
    )
    np.testing.assert_array_equal(runs.value["alive"], jax.jit(simplex.num_surviving)(logits))
    # An observable sees one replicate, with the batch axes of the initial logits.
    batch = fp.run(
        loop, jnp.stack([THETA] * 3), 2, key=key, num_replicates=5, observe=lambda x: x[0]
    )
    assert batch.value.shape == (3, 5, 4)


def test_fresh_refits_are_wright_fisher(key):
    """E H_t = H_0 (1 - 1/n)^t, with the exact variance of the chain of two outcomes."""
    n, replicates, generations = 4, 4000, 12
    runs = fp.run(
        fp.Loop(corpus=fp.Fresh(n)),
        jnp.log(jnp.array([0.3, 0.7])),
        generations,
        key=key,
        num_replicates=replicates,
        observe=simplex.heterozygosity,
    )
    count = np.arange(n + 1)
    choose = np.array([1, 4, 6, 4, 1])
    chain = choose * (count[:, None] / n) ** count * (1 - count[:, None] / n) ** (n - count)
    law = choose * 0.3**count * 0.7 ** (n - count)
    value = 2 * count / n * (1 - count / n)
    for t in range(1, generations + 1):
        mean, variance = law @ value, law @ value**2 - (law @ value) ** 2
        assert mean == pytest.approx(0.42 * 0.75**t, rel=1e-12)
        z = (runs.value[t].mean() - mean) / np.sqrt(variance / replicates)
        assert abs(z) < 4.5
        if t == 3:
            # The exponential approximation is rejected by the same data.
            near_miss = 0.42 * np.exp(-t / n)
            assert abs(runs.value[t].mean() - near_miss) > 5 * np.sqrt(variance / replicates)
        law = law @ chain


def test_sampled_refits_are_a_martingale(key):
    n, replicates = 8, 4000
    runs = fp.run(
        fp.Loop(corpus=fp.Fresh(n)),
        THETA,
        10,
        key=key,
        num_replicates=replicates,
        observe=simplex.probabilities,
    )
    t = np.arange(1, 11)[:, None]
    # Var p_t = p(1-p)(1 - (1-1/n)^t): the variance that the heterozygosity lost.
    variance = np.asarray(P0 * (1 - P0))[None] * (1 - (1 - 1 / n) ** t)
    z = (np.asarray(runs.value[1:]).mean(1) - np.asarray(P0)) / np.sqrt(variance / replicates)
    assert np.abs(z).max() < 4.5


@pytest.mark.parametrize(
    "loop",
    [
        fp.Loop(corpus=fp.Fresh(30)),
        fp.Loop(corpus=fp.Fresh(3), learner=fp.MixtureStep(0.3)),
        fp.Loop(corpus=fp.Fresh(3), learner=fp.GradientSteps(0.5, num_steps=2)),
        fp.Loop(fp.Temperature(0.9), fp.Fresh(5), fp.GradientSteps(0.5, batch_size=2)),
    ],
    ids=["refit", "mixture", "steps", "batches"],
)
def test_the_lost_are_never_resurrected(loop, key):
    """Thousands of generations in float32: who is lost stays lost."""
    start = jnp.concatenate([THETA, jnp.array([-jnp.inf, -9.0])]).astype(jnp.float32)

    runs = fp.run(
        loop,
        start,
        4000,
        key=key,
        num_replicates=8,
        observe=lambda logits: logits > -jnp.inf,
        save_at=range(0, 4001, 10),
    )
    alive = np.asarray(runs.value)
    assert np.all(alive[1:] <= alive[:-1])
    assert not alive[:, :, 4].any()
    assert alive[-1].any(-1).all()


def test_replicates_depend_on_the_key_and_their_number_alone(key):
    loop = fp.Loop(corpus=fp.Fresh(20))
    many = fp.run(loop, THETA, 9, key=key, num_replicates=7)
    few = fp.run(loop, THETA, 9, key=key, num_replicates=3)
    np.testing.assert_array_equal(many.value[:, :3], few.value)
    one = fp.run(loop, THETA, 9, key=key)
    np.testing.assert_array_equal(many.value[:, 0], one.value)
    sparse = fp.run(loop, THETA, 20, key=key, num_replicates=7, save_at=[9, 20])
    np.testing.assert_array_equal(sparse.value[0], many.value[9])
    assert len({tuple(row) for row in np.asarray(many.value[1]).tolist()}) > 1


def test_progress_does_not_change_results(key, capsys):
    loop = fp.Loop(corpus=fp.Accumulated(fp.Fresh(20)))
    options = {"key": key, "num_replicates": 3, "save_at": [0, 57, 250]}
    quiet = fp.run(loop, THETA, 250, progress=False, **options)
    assert capsys.readouterr().err == ""
    shown = fp.run(loop, THETA, 250, progress=True, **options)
    np.testing.assert_array_equal(quiet.value, shown.value)
    assert "250/250" in capsys.readouterr().err


def test_one_compilation_per_shape(key):
    """Numbers do not compile again: generations, temperatures, sizes of steps, keys."""
    observe = Counter()

    def run(temperature, step_size, fraction, seed, save_at):
        loop = fp.Loop(
            fp.Temperature(temperature),
            fp.Mixed(P0, fraction, fp.Fresh(6)),
            fp.GradientSteps(step_size),
        )
        return fp.run(
            loop,
            THETA,
            1000,
            key=jax.random.key(seed),
            num_replicates=4,
            observe=observe,
            save_at=save_at,
        )

    run(0.9, 0.1, 0.5, 0, [0, 3, 10])
    traces = observe.traces
    for arguments in itertools.product([0.8, 0.0], [0.2], [0.0], [1], [[0, 4, 11], [1, 200, 900]]):
        run(*arguments)
    assert observe.traces == traces
    run(0.9, 0.1, 0.5, 0, [0, 3, 10, 11])
    assert observe.traces > traces


def test_memory_does_not_grow_with_the_number_of_generations(key):
    """The compiled loop takes the number of generations as data."""
    from fixedpoint.loop.general import _advance, _Process, _start

    loop = fp.Loop(corpus=fp.Fresh(6))
    process = _Process(loop, THETA, key, simplex.entropy, jnp.array([0, 5]))
    replicates = jnp.arange(3)
    carry = _start(process, replicates, None, jnp.asarray(0), None)
    sizes = [leaf.size for leaf in jax.tree.leaves(carry)]
    for last in (5, 5000):
        carry = _advance(process, replicates, carry, jnp.asarray(0), jnp.asarray(last), None)
        assert [leaf.size for leaf in jax.tree.leaves(carry)] == sizes
    assert sum(sizes) == 3 * 4 + 2 * 3 + 1


@pytest.mark.slow
def test_gradients_and_batches_of_parameters():
    """S of T^-n θ: dS/dT = n β² Var/T with β = T^-n, where Var is of θ at β."""
    n = 3

    def entropy(temperature, theta):
        loop = fp.Loop(sampler=fp.Temperature(temperature))
        return fp.run(loop, theta, n, observe=simplex.entropy, save_at=[n]).value[0]

    T = 0.9
    p = np.asarray(simplex.probabilities(THETA / T**n))
    variance = p @ np.asarray(THETA) ** 2 - (p @ np.asarray(THETA)) ** 2
    slopes = jax.jit(jax.grad(entropy, (0, 1)))(T, THETA)
    assert slopes[0] == pytest.approx(n * T ** (-2 * n - 1) * variance, rel=1e-11)
    assert np.isfinite(slopes[1]).all()
    forward = jax.jit(lambda T: jax.jvp(entropy, (T, THETA), (1.0, jnp.zeros(4)))[1])
    assert forward(T) == pytest.approx(float(slopes[0]), rel=1e-12)
    temperatures = jnp.array([0.5, 0.9, 2.0])
    each = jax.jit(jax.vmap(entropy, (0, None)))(temperatures, THETA)
    alone = [entropy(T, THETA) for T in temperatures]
    np.testing.assert_allclose(each, alone, rtol=1e-13)
    loops = eqx.filter_vmap(lambda T: fp.Loop(sampler=fp.Temperature(T)))(temperatures)
    batched = eqx.filter_vmap(lambda loop: fp.run(loop, THETA, n, observe=simplex.entropy).value)(
        loops
    )
    np.testing.assert_allclose(batched[:, -1], each, rtol=1e-13)


@pytest.mark.long
def test_traced_random_runs_equal_compiled_ones(key):
    loop = fp.Loop(corpus=fp.Fresh(20))
    runs = fp.run(loop, THETA, 5, key=key, num_replicates=3, engine="general")
    traced = jax.jit(lambda theta: fp.run(loop, theta, 5, key=key, num_replicates=3).value)(THETA)
    np.testing.assert_array_equal(runs.value, traced)


@pytest.mark.long
def test_gradients_through_lost_outcomes_are_finite(key):
    """Counts are constants; what flows past them is finite, also after an outcome is lost."""
    start = THETA.at[1].set(-jnp.inf)

    def spread(theta, weight):
        loop = fp.Loop(
            fp.Temperature(0.9),
            fp.Curated(jnp.array([1.0, 1.0, weight, 1.0]), fp.Accumulated()),
            fp.GradientSteps(0.3),
        )
        exact = fp.run(loop, theta, 5, observe=simplex.entropy, save_at=[5]).value[0]
        loop = fp.Loop(corpus=fp.Fresh(3), learner=fp.MixtureStep(weight))
        sampled = fp.run(loop, theta, 5, key=key, observe=simplex.entropy, save_at=[5]).value[0]
        return exact + sampled

    gradients = jax.jit(jax.grad(spread, (0, 1)))(start, 0.5)
    assert np.isfinite(gradients[0]).all()
    assert np.isfinite(gradients[1])
    assert gradients[0][1] == 0


@pytest.mark.long
def test_dtypes_follow_the_logits(key):
    loop = fp.Loop(fp.Temperature(jnp.float64(0.9)), fp.Fresh(5), fp.MixtureStep(0.5))
    for dtype in (jnp.float32, jnp.float64):
        runs = fp.run(loop, THETA.astype(dtype), 2, key=key, num_replicates=2)
        assert runs.value.dtype == dtype
    assert fp.run(fp.Loop(), jnp.array([0, 1]), 1).value.dtype == jnp.float64


def test_nothing_left_to_learn_is_an_error():
    loop = fp.Loop(fp.TopK(1), fp.Curated(jnp.array([0.0, 1.0, 1.0, 1.0])))
    with pytest.raises(FloatingPointError, match="not a distribution any more"):
        fp.run(loop, THETA, 3)
    with pytest.raises(Exception, match="not a distribution any more"):
        jax.block_until_ready(jax.jit(lambda theta: fp.run(loop, theta, 3).value)(THETA))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_generations": -1}, r"`num_generations` must be an integer >= 0; got -1"),
        ({"num_replicates": 0}, r"`num_replicates` must be an integer >= 1; got 0"),
        ({"save_at": [0, 11]}, r"`save_at` must increase within 0\.\.10; got \[0, 11\]"),
        ({"save_at": [3, 3]}, r"`save_at` must increase within 0\.\.10"),
        ({"save_at": []}, r"`save_at` must be a list of generations"),
        ({"key": None}, r"`key` must be given where a loop draws at random"),
        ({"logits": jnp.array([0.0, jnp.nan])}, r"`logits` must be finite or -inf; got nan"),
        ({"logits": jnp.full(2, -jnp.inf)}, r"`logits` must have a finite entry in every row"),
        ({"logits": jnp.zeros((2, 0))}, r"`logits` must have at least one outcome"),
    ],
)
def test_bad_arguments(change, message):
    arguments = {"logits": THETA, "num_generations": 10, "key": jax.random.key(0)} | change
    with pytest.raises(ValueError, match=message):
        fp.run(fp.Loop(corpus=fp.Fresh(5)), **arguments)


def test_wrong_kinds_are_named_and_the_import_is_light():
    """In a process of its own: there the annotations are not checked at run time."""
    script = """
import sys
import jax.numpy as jnp
import fixedpoint as fp
assert not {"diffrax", "sympy", "matplotlib", "tqdm"} & set(sys.modules), "heavy import"
for make in (
    lambda: fp.Loop(sampler=0.8),
    lambda: fp.Loop(sampler=(fp.Temperature(1.0), 3)),
    lambda: fp.Loop(corpus=100),
    lambda: fp.Loop(learner="refit"),
    lambda: fp.run(fp.Temperature(1.0), jnp.zeros(2), 1),
    lambda: fp.run(fp.Loop(), jnp.zeros(2), 1.5),
):
    try:
        make()
    except ValueError as error:
        print(error)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    messages = result.stdout.splitlines()
    assert len(messages) == 6
    assert messages[0] == "`sampler` must be a sampler, or a tuple of samplers; got 0.8."
    assert messages[2] == "`corpus` must be a corpus; got 100."
    assert messages[4].startswith("`loop` must be a Loop; got Temperature(")
    assert messages[5] == "`num_generations` must be an integer >= 0; got 1.5."


class Shortened(fp.loop.Sampler):
    """Forgets an outcome."""

    def __call__(self, logits):
        return logits[..., 1:]


@pytest.mark.parametrize(
    ("loop", "change", "message"),
    [
        (fp.Loop(), {"save_at": []}, r"`save_at` must be a list of generations, at least one"),
        (fp.Loop(), {"save_at": [0.0, 1.0]}, "`save_at` must be a list of generations"),
        (fp.Loop(), {"observe": "entropy"}, r"`observe` must be a function .* got 'entropy'"),
        (fp.Loop(), {"observe": {"S": 3}}, r"`observe` must be a function .* got 3"),
        (fp.Loop(), {"key": 0}, r"`key` must be a random key \(jax.random.key\(0\)\); got 0"),
        (fp.Loop(), {"key": jax.random.split(jax.random.key(0))}, "`key` must be one random key"),
        (fp.Loop(), {"devices": []}, "`devices` must be a list of devices"),
        (fp.Loop(), {"num_generations": 2.5}, "`num_generations` must be an integer >= 0; got 2.5"),
        (fp.Loop(), {"num_generations": 10**20}, "`num_generations` must be an integer <= "),
        (fp.Loop(), {"logits": np.zeros(3, np.longdouble)}, r"`logits.astype\(float\)` makes one"),
        (fp.Loop(), {"logits": np.zeros(3, ">f8")}, "`logits` must have a type that JAX has"),
        (fp.Loop(), {"logits": ["a", "b"]}, "`logits` must be finite or -inf; got"),
        (fp.Loop(), {"logits": np.zeros(3, complex)}, "`logits` must be finite or -inf; got"),
        (fp.Loop(), {"logits": [[0.0], [0.0, 1.0]]}, "`logits` must have at least one outcome"),
        (
            fp.Loop(sampler=fp.Temperature(np.array([0.5, 0.6, 0.7, 0.8]))),
            {},
            r"`loop` must lead from logits of shape \(3,\) .* returns shape \(4, 3\)",
        ),
        (fp.Loop(sampler=Shortened()), {}, r"Shortened.* returns shape \(2,\)"),
        (fp.Loop(sampler=Shortened(), learner=fp.GradientSteps(0.1)), {}, r"returns shape \(2,\)"),
        (
            fp.Loop(corpus=fp.Mixed(np.array([0.5, 0.5]), 0.1)),
            {},
            "`real` must have one entry for each of",
        ),
        (
            fp.Loop(corpus=fp.Pooled(np.ones(1), 0.1)),
            {},
            "`real` must have one entry for each of the 3",
        ),
        (
            fp.Loop(corpus=fp.Curated(np.array([1.0, 2.0]))),
            {},
            "`weights` must have one entry for each of",
        ),
        (fp.Loop(learner=fp.GradientSteps(np.array([0.1, 0.2]))), {}, "must lead from"),
    ],
)
def test_what_does_not_fit_is_named(loop, change, message):
    arguments = {"logits": jnp.array([0.2, 0.5, -0.7]), "num_generations": 3, **change}
    with pytest.raises(ValueError, match=message):
        fp.run(loop, **arguments)


@pytest.mark.parametrize("value", ["0.8", None, True, 1j, [0.5, "x"], np.array([None]), b"1"])
def test_a_parameter_is_a_number(value):
    with pytest.raises(ValueError, match=r"`temperature` must be >= 0; got"):
        fp.Temperature(value)
