"""Parts of a user's own: what fits runs, and what does not is refused in words beforehand."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fixedpoint as fp

LOGITS = jnp.log(jnp.array([0.7, 0.2, 0.1]))


class Plain(fp.loop.Corpus):
    """The drawn distribution, as `Exact` has it."""

    stochastic = False

    def initial(self, logits) -> Any:
        return None

    def __call__(self, drawn, memory, key):
        return fp.loop.Target(drawn, jnp.inf), memory


class Counting(Plain):
    """It remembers how many generations there were, and moves with them."""

    def initial(self, logits) -> Any:
        return jnp.zeros(())

    def __call__(self, drawn, memory, key):
        return fp.loop.Target(drawn * (1 + memory), jnp.inf), memory + 1


class NoTarget(Plain):
    """The target without the memory."""

    def __call__(self, drawn, memory, key):
        return fp.loop.Target(drawn, jnp.inf)


class Growing(Plain):
    """A memory that changes its form."""

    def __call__(self, drawn, memory, key):
        return fp.loop.Target(drawn, jnp.inf), drawn


class Secret(Plain):
    """It draws at random, and does not say so."""

    def __call__(self, drawn, memory, key):
        return fp.Fresh(3)(drawn, memory, key)


class Integers(fp.loop.Sampler):
    """It returns ranks, which are no floats."""

    def __call__(self, logits):
        return jnp.argsort(logits)


class Whole(fp.loop.Learner):
    """It returns the target with its size."""

    def __call__(self, logits, target, key):
        return target


class Forgetful(fp.loop.Learner):
    """It does not take the key."""

    def __call__(self, logits, target):
        return target.logits


def test_parts_of_ones_own_run_with_all_others(key):
    runs = fp.run(fp.Loop(fp.Temperature(0.8), Counting()), LOGITS, 3)
    assert runs.engine == "general"
    assert runs.memory == 3
    powers = np.array([1, 1.25, 2 * 1.25**2, 6 * 1.25**3])
    expected = np.asarray(LOGITS - LOGITS.mean())[None] * powers[:, None]
    np.testing.assert_allclose(fp.simplex.centre(runs.value), expected, rtol=1e-13)
    mixed = fp.Loop(corpus=fp.Mixed(jnp.ones(3) / 3, 0.5, Counting()))
    assert fp.run(mixed, LOGITS, 2, num_replicates=2).memory.tolist() == [2, 2]
    more = fp.run(mixed, fp.run(mixed, LOGITS, 2), 3)
    np.testing.assert_array_equal(more.logits, fp.run(mixed, LOGITS, 5).logits)
    assert eqx.tree_equal(fp.solve(fp.Loop(), LOGITS).initial, LOGITS)
    with pytest.raises(fp.NoClosedForm, match="`corpus` Counting is none of the parts"):
        fp.solve(fp.Loop(corpus=Counting()), LOGITS)


@pytest.mark.parametrize(
    ("loop", "message"),
    [
        (fp.Loop(Integers()), r"Integers\(\) returns shape \(3,\) and type int64"),
        (fp.Loop(corpus=NoTarget()), r"`corpus` must return \(Target, memory\); NoTarget\(\)"),
        (fp.Loop(corpus=Growing()), r"keep the form of its memory.* Growing\(\) is None at first"),
        (fp.Loop(corpus=Secret()), r"`key` must be a random key .* Fresh draws at random"),
        (fp.Loop(learner=Whole()), r"Whole\(\) on Exact\(\) returns Target\(logits"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(loop, message):
    with pytest.raises(ValueError, match=message):
        fp.run(loop, LOGITS, 2)


def test_the_error_of_a_part_is_its_own_with_a_note():
    with pytest.raises(TypeError, match=r"takes 3 positional arguments but 4") as caught:
        fp.run(fp.Loop(learner=Forgetful()), LOGITS, 2)
    assert any("what Forgetful() on Exact() raises" in note for note in caught.value.__notes__)


def test_a_part_without_a_method_cannot_be_made():
    class Half(fp.loop.Corpus):
        """It has no memory to begin with, and does not say whether it draws."""

        def __call__(self, drawn, memory, key):
            return fp.loop.Target(drawn, jnp.inf), memory

    with pytest.raises(TypeError, match="abstract methods initial, stochastic"):
        Half()


def test_parts_print_as_they_are_written():
    parts = [
        fp.Loop(fp.Temperature(0.8), corpus=fp.Fresh(3), learner=fp.GradientSteps(0.1)),
        fp.Loop((fp.TopK(3), fp.Nucleus(0.5)), learner=fp.Refit(pseudo_counts=0.5)),
        fp.Loop(corpus=fp.Accumulated(fp.Curated(np.array([1.0, 2.0])), initial_weight=2.0)),
        fp.GradientFlow(1.5, rtol=1e-6, start="initial"),
        fp.FinalAnswer([0, 1, 1], learner=fp.MixtureStep(0.25)),
        Counting(),
    ]
    for part in parts:
        again = eval(repr(part), {**vars(fp), "Counting": Counting})
        assert repr(again) == repr(part)
        assert eqx.tree_equal(again, part)
    assert repr(fp.Temperature(np.float32(0.8))) == "Temperature(0.8)"
    assert repr(fp.Temperature(np.linspace(0, 1, 9))) == "Temperature(f64[9])"
    shown = []
    jax.jit(lambda T: shown.append(repr(fp.Temperature(T))))(0.8)
    assert shown == ["Temperature(weak_f64[])"]
    found = fp.solve(fp.Loop(fp.Temperature(0.8)), jnp.array([0.0, 1.0]))
    assert repr(found) == "Tempered('tempering.logits', initial=[0.0, 1.0], temperature=0.8)"
