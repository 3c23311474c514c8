"""Figures over generations: closed form against the loop, by hand, and at the edges."""

import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint import ending, prediction
from fixedpoint.prediction import FIGURES, predict

LOGITS = np.log([0.5, 0.2, 0.2, 0.07, 0.03])
"""Asymmetric on purpose, with a tie that is not the mode."""


def tempered(temperature):
    return fp.Loop(sampler=fp.Temperature(temperature))


def test_two_outcomes_by_hand():
    found = predict(tempered(0.5), np.log([0.75, 0.25]), 2)
    # Odds 3 : 1 are squared in every generation.
    p = np.array([3 / 4, 9 / 10, 81 / 82])
    entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p))
    kl = p * np.log(p / 0.75) + (1 - p) * np.log((1 - p) / 0.25)
    for name, values in {
        "mode_probability": p,
        "entropy": entropy,
        "effective_number": np.exp(entropy),
        "surviving": [2, 2, 2],
        "kl_from_start": kl,
        "recovery_temperature": [1, 2, 4],
    }.items():
        np.testing.assert_allclose(found.figures[name], values, rtol=1e-12, atol=1e-15)
    assert found.law == "tempering.logits"
    assert found.limit is not None
    assert found.limit.statement == "the mode alone"


class Whole(fp.loop.Sampler):
    def __call__(self, logits):
        return logits


@pytest.mark.parametrize("temperature", [0.0, 0.8, 1.0, 1.3, np.inf])
def test_closed_form_equals_the_loop(temperature):
    """A sampler of one's own, which does nothing, forces the loop to be run."""
    kept = fp.Loop(sampler=(fp.Temperature(temperature), Whole()))
    run, closed = predict(kept, LOGITS, 6), predict(tempered(temperature), LOGITS, 6)
    assert run.law is None
    assert "Whole" in run.note
    for name in FIGURES[:-1]:
        np.testing.assert_allclose(
            closed.figures[name], run.figures[name], rtol=1e-10, atol=1e-14, err_msg=name
        )
    np.testing.assert_array_equal(closed.modes, run.modes)
    if 0 < temperature < np.inf:
        np.testing.assert_allclose(
            closed.figures["recovery_temperature"], run.figures["recovery_temperature"], rtol=1e-8
        )
        np.testing.assert_allclose(
            closed.figures["recovery_temperature"], temperature ** -np.r_[:7.0]
        )


@pytest.mark.slow
def test_contexts_are_followed_separately_whatever_the_blocks(monkeypatch):
    table = np.random.default_rng(0).normal(size=(3, 2, 5))
    loop = fp.Loop(sampler=(fp.Temperature(0.7), fp.Nucleus(0.9)))
    whole = predict(loop, table, 3, keep_logits=True)
    monkeypatch.setattr(prediction, "BLOCK", 10)
    blocks = predict(loop, table, 3, keep_logits=True)
    single = predict(loop, table[2, 1], 3, keep_logits=True)
    for name in FIGURES:
        assert whole.figures[name].shape == (4, 3, 2)
        np.testing.assert_allclose(whole.figures[name], blocks.figures[name], rtol=1e-12)
        np.testing.assert_allclose(whole.figures[name][:, 2, 1], single.figures[name], rtol=1e-12)
    assert whole.logits is not None
    assert whole.logits.shape == table.shape


@pytest.mark.parametrize(
    ("temperature", "entropy", "surviving"),
    [(0.9, np.log(2), 2), (1.0, None, 5), (1.1, np.log(5), 5)],
)
def test_a_million_generations_saturate(temperature, entropy, surviving):
    tied = np.array([1.0, 1.0, 0.5, 0.0, -1.0])
    found = predict(tempered(temperature), tied, 10**6, keep_logits=True)
    assert found.generations[-1] == 10**6
    entropies = found.figures["entropy"]
    expected = entropies[0] if entropy is None else entropy
    assert entropies[-1] == pytest.approx(expected, rel=1e-12)
    assert found.figures["surviving"][-1] == surviving
    assert found.limit is not None
    assert found.limit.figures["entropy"] == pytest.approx(expected, rel=1e-12)
    assert not any(np.isnan(found.figures[name]).any() for name in FIGURES[:-1])
    assert found.logits is not None
    assert not np.isnan(found.logits).any()
    recovery = found.mean("recovery_temperature")[0][-1]
    assert recovery == 1 if temperature == 1 else np.isnan(recovery)


def test_zero_and_infinite_temperature_lose_the_past():
    for temperature, entropy in ((0.0, 0.0), (np.inf, np.log(4))):
        found = predict(tempered(temperature), np.append(LOGITS[[1, 0, 3, 4]], -np.inf), 2)
        np.testing.assert_allclose(found.figures["entropy"][1:], entropy, atol=1e-15)
        np.testing.assert_array_equal(
            np.isnan(found.mean("recovery_temperature")[0]), [False, True, True]
        )
        assert found.modes is not None
        assert found.modes.tolist() == ([1, 1, 1] if temperature == 0 else [1, 0, 0])


@pytest.mark.parametrize("samplers", [fp.Temperature(0.7), fp.Temperature(0.0), fp.TopK(2)])
def test_the_three_parts_add_up_and_only_a_cut_loses_modes(samplers):
    found = predict(fp.Loop(sampler=samplers), LOGITS, 3).figures
    parts = sum(found[name] for name in prediction.PARTS)
    np.testing.assert_allclose(parts, found["kl_from_start"], rtol=1e-9, atol=1e-13)
    loses = not isinstance(samplers, fp.Temperature) or samplers.temperature == 0
    assert (found["kl_lost_modes"][-1] > 0.3) == loses
    assert found["kl_lost_modes"][0] == 0


def test_one_outcome_and_lost_outcomes():
    alone = predict(tempered(0.5), np.array([3.0]), 2)
    np.testing.assert_array_equal(alone.figures["entropy"], 0)
    np.testing.assert_array_equal(alone.figures["mode_probability"], 1)
    lost = predict(tempered(2.0), np.array([-np.inf, 0.0, 1.0]), 5)
    np.testing.assert_array_equal(lost.figures["surviving"], 2)


def test_truncation_at_temperature_one_settles_at_once():
    found = predict(fp.Loop(sampler=(fp.Temperature(1.0), fp.TopK(2))), LOGITS, 3)
    assert found.limit is not None
    assert "from generation 1 on" in found.limit.statement
    np.testing.assert_allclose(found.figures["mode_probability"][1:], 5 / 7)
    # 0.7 of the probability was kept: KL(p_1 || p_0) = -log 0.7, and no sharpening.
    np.testing.assert_allclose(found.figures["kl_from_start"][1:], -np.log(0.7))
    np.testing.assert_allclose(found.figures["recovery_temperature"], 1, rtol=1e-6)


def test_the_limit_is_not_claimed_before_it_is_reached():
    loop = fp.Loop(sampler=(fp.Temperature(0.9), fp.TopK(2)))
    assert predict(loop, LOGITS, 3).limit is None


class TestSamples:
    @pytest.mark.long
    def test_heterozygosity_like_decay_of_two_outcomes(self):
        """The chance that one draw of two decides: after one generation of n = 2, by hand."""
        loop = fp.Loop(corpus=fp.Fresh(2))
        found = predict(loop, np.log([0.75, 0.25]), 1, num_replicates=4_000, seed=3)
        mean, error = found.mean("surviving")
        # Both outcomes survive with probability 2 p q = 3/8.
        predicted_error = np.sqrt(3 / 8 * 5 / 8 / 4_000)
        assert mean[0] == 2
        assert abs(mean[1] - 11 / 8) < 4 * predicted_error
        assert error is not None
        assert error[1] == pytest.approx(predicted_error, rel=0.05)
        assert error[0] == 0
        assert found.modes is None
        assert found.figures["entropy"].shape == (2, 4_000)

    @pytest.mark.long
    def test_the_seed_decides(self):
        loop = fp.Loop(corpus=fp.Fresh(5))
        runs = [
            predict(loop, LOGITS, 3, num_replicates=8, seed=seed).figures["entropy"]
            for seed in (0, 0, 1)
        ]
        np.testing.assert_array_equal(runs[0], runs[1])
        assert (runs[0] != runs[2]).any()

    def test_means_are_over_contexts_and_errors_over_replicates(self):
        values = np.array([[[1.0, 3.0], [3.0, 5.0], [5.0, 7.0]]])
        made = prediction.Prediction(None, "", None, np.array([0]), {"entropy": values}, None, None)
        mean, error = made.mean("entropy")
        assert error is not None
        assert (mean[0], error[0]) == (4, pytest.approx(2 / np.sqrt(3)))

    def test_the_exact_times_are_those_of_the_chain(self):
        """T = 1 by exact elimination: 107/29 from one of four; 749/145 with three outcomes."""
        rows = np.log([[0.25, 0.75], [0.5, 0.5]])
        two = prediction.ending(fp.Loop(corpus=fp.Fresh(4)), rows)
        assert two.fixation.value == pytest.approx((107 + 132) / 29 / 2, rel=1e-13)
        assert two.first_loss == two.fixation
        lost = np.array([[np.log(0.25), -np.inf, np.log(0.25), np.log(0.5)]])
        three = prediction.ending(fp.Loop(corpus=fp.Fresh(4)), lost)
        assert three.fixation.value == pytest.approx(749 / 145, rel=1e-13)
        assert three.first_loss.exact
        assert three.first_loss.value is not None
        assert 1 < three.first_loss.value < 749 / 145

    def test_one_sample_leaves_one_outcome(self):
        for temperature in (0.5, 1.0):
            loop = fp.Loop(fp.Temperature(temperature), fp.Fresh(1))
            found = prediction.ending(loop, np.array([[0.0, 1.0], [0.0, -np.inf]]))
            # One generation for the first model; the second has one outcome from the start.
            assert (found.first_loss.value, found.fixation.value) == (0.5, 0.5)

    def test_what_no_chain_knows_is_not_claimed(self):
        many = prediction.ending(fp.Loop(corpus=fp.Fresh(30)), np.zeros((1, 30)))
        assert many.first_loss.value is None
        assert "the rarest outcome expects 1 of 30 samples" in many.first_loss.note
        # By the chain of one outcome against the others.
        assert many.fixation.value == pytest.approx(57.1394361574104, rel=1e-12)
        warm = fp.Loop(fp.Temperature(1.1), fp.Fresh(30))
        found = prediction.ending(warm, np.zeros((1, 30)))
        assert (found.first_loss.value, found.fixation.value) == (None, None)
        assert "no exact chain of 30 outcomes and 30 samples" in found.fixation.note
        big = prediction.ending(fp.Loop(fp.Temperature(0.9), fp.Fresh(10_000)), np.zeros((1, 2)))
        assert big.fixation.note == "not computed beyond 1,500 samples"

    def test_at_temperature_one_any_number_of_samples_will_do(self):
        rows = np.log([[0.3, 0.7]])
        found = prediction.ending(fp.Loop(corpus=fp.Fresh(10_000)), rows)
        # Of two outcomes the first loss is the fixation: -2n Σ (1 - p) log(1 - p) - log(n)/3 ...
        diffusion = -2 * 10_000 * (0.7 * np.log(0.7) + 0.3 * np.log(0.3))
        assert found.first_loss == found.fixation
        assert found.fixation.exact
        assert 0 < diffusion - (found.fixation.value or 0) < 5
        huge = prediction.ending(fp.Loop(corpus=fp.Fresh(10**9)), rows).fixation
        assert not huge.exact
        assert huge.value == pytest.approx(diffusion * 1e5, rel=1e-12)

    def test_the_first_loss_is_known_asymptotically(self):
        """Against the exact chain: a generation or so too long."""
        rows = np.log([[0.25, 0.3, 0.45]])
        loop = fp.Loop(corpus=fp.Fresh(20))
        exact = prediction.ending(loop, rows).first_loss
        assert exact.exact
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ending, "LARGEST_CHAIN", 3)
            found = prediction.ending(loop, rows)
        assert not found.first_loss.exact
        assert found.fixation.exact
        assert 0.5 < (found.first_loss.value or 0) - (exact.value or 0) < 2


class TestRecovery:
    """The temperature that brings generation 0 back, and where there is none."""

    def test_by_hand(self):
        lost = -np.inf
        start, model, recovery = zip(
            # p ∝ p₀² is undone by temperature 2, also on what a truncation has left.
            ([0.0, -1.0, -3.0], [0.0, -2.0, -6.0], 2.0),
            ([0.0, -1.0, -3.0], [0.0, -2.0, lost], 2.0),
            ([0.0, -1.0, -3.0], [0.0, lost, lost], np.nan),  # one outcome is left
            ([0.0, 0.0, -3.0], [0.0, 0.0, lost], np.nan),  # two that no temperature parts
            ([0.0, 0.0, 0.0], [0.0, -1.0, -2.0], np.nan),  # only an infinite one makes them equal
            ([0.0, -1.0, lost], [0.0, 0.0, lost], np.nan),  # made equal for ever
            ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], 1.0),  # generation 0 itself
            ([5.0, lost, lost], [3.0, lost, lost], 1.0),
            strict=True,
        )
        found = prediction._Observe(np.array(start))(np.array(model))
        np.testing.assert_allclose(found["recovery_temperature"], recovery, rtol=1e-12)

    def test_runs_without_a_temperature_are_counted_and_left_out(self):
        values = np.array([[1.0, 1.0, 1.0, 1.0], [1.5, np.nan, -0.5, 2.5], [np.nan] * 4])
        figures = {"recovery_temperature": values}
        made = prediction.Prediction(None, "", None, np.arange(3), figures, None, None)
        mean, error = made.mean("recovery_temperature")
        np.testing.assert_array_equal(mean, [1, 2, np.nan])
        assert error is not None
        assert error[1] == pytest.approx(0.5)
        recovered, of = made.recovered()
        assert (recovered.tolist(), of) == ([4, 2, 0], 4)

    def test_at_temperature_zero_what_is_flat_stays_itself(self):
        rows = np.array([[0.0, 0.0], [0.0, -1.0]])
        found = predict(tempered(0.0), rows, 1).figures["recovery_temperature"]
        np.testing.assert_array_equal(found, [[1, 1], [1, np.nan]])


class TestCost:
    def test_a_closed_form_costs_nothing(self):
        assert prediction.seconds(tempered(0.5), LOGITS, 10**12) == 0

    @pytest.mark.parametrize("corpus", [fp.Exact(), fp.Fresh(100)])
    def test_it_grows_with_the_work(self, corpus):
        # Hot, so that no sampled outcome is lost soon.
        loop = fp.Loop(sampler=(fp.Temperature(1.5), fp.TopK(2)), corpus=corpus)
        runs = None if isinstance(corpus, fp.Exact) else 50
        cost = [
            prediction.seconds(loop, np.tile(LOGITS, (contexts, 1)), generations, runs)
            for contexts, generations in ((1, 10**6), (10, 10**6), (10, 10**7))
        ]
        assert cost[0] < cost[1] < cost[2]
        assert cost[2] > 100

    def test_replicates_go_with_samples(self):
        with pytest.raises(ValueError, match="`num_replicates` must be given with a sampled"):
            predict(fp.Loop(corpus=fp.Fresh(5)), LOGITS, 1)
        with pytest.raises(ValueError, match="got 3 with Exact"):
            predict(fp.Loop(), LOGITS, 1, num_replicates=3)


def test_an_ending_at_low_temperature_is_a_number():
    """Seven samples of (1/2, 1/2), then the more frequent one for ever: 2 − 2/128 generations."""
    cold = fp.Loop(fp.Temperature(1e-3), fp.Fresh(7))
    found = prediction.ending(cold, np.zeros((1, 2)))
    # At generation 0 the model is a tie, which is drawn from as it is.
    assert found.fixation.value == pytest.approx(2 - 2 / 128, rel=1e-13)
    assert found.first_loss == found.fixation
    one = prediction.ending(fp.Loop(corpus=fp.Fresh(1)), np.log([[0.2, 0.5, 0.3]]))
    assert (one.first_loss.value, one.fixation.value) == (1, 1)
