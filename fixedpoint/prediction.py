"""What becomes of a model, generation by generation: the figures that `fixedpoint predict` prints.

Where a law governs the loop its closed form is evaluated, all generations in one pass over the
logits; otherwise the loop is run: exactly for an exact corpus, in replicates for a sampled one.
Contexts are then taken in blocks and one generation at a time, so that memory grows neither with
the number of contexts nor with that of generations.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from fixedpoint import simplex
from fixedpoint.chain import Chain, absorption, fixation_time, from_loop
from fixedpoint.kernels import sweep
from fixedpoint.laws.solve import NoClosedForm, Tempered, solve
from fixedpoint.loop import Fresh, Loop, Temperature, run

STATE = ("entropy", "mode_probability", "effective_number", "surviving")
"""The figures that describe one model."""

PARTS = ("kl_lost_modes", "kl_temperature", "kl_rest")
"""What the divergence from generation 0 is the sum of: `simplex.decomposition`."""

FIGURES = (*STATE, "kl_from_start", *PARTS, "recovery_temperature")
"""The figures of a generation, by the names that the command's JSON gives them."""

BLOCK = 2**22
"""Logits in work at once where the loop is run."""

EVERY_GENERATION = 1_000
"""Up to this many generations all are reported; beyond, those of the series 1, 2, 5, 10, ..."""

LARGEST_CHAIN = 1_500
"""Most states, and samples, of the exact chains that are solved on the way."""

LARGEST_CONTEXTS = 100
"""Most contexts for which exact mean times are computed."""

LARGEST_TABLE = 2**24
"""Most contexts × outcomes × samples that exact mean times are averaged over."""

STATIONARY = 1e-12
"""Largest change of a probability in one generation that counts as none."""


@dataclass(frozen=True)
class Limit:
    """What the model tends to.

    Attributes:
        statement: the limit in words.
        figures: the figures named in `STATE`, averaged over contexts.
    """

    statement: str
    figures: dict[str, float]


@dataclass(frozen=True)
class Ending:
    """How long the outcomes last, exactly: mean numbers of generations, averaged over contexts.

    Attributes:
        first_loss: until the first outcome is lost; `None` where it is not known exactly.
        fixation: until one outcome is left; `None` where it is not known exactly.
        note: where one of them is not known: why.
    """

    first_loss: float | None
    fixation: float | None
    note: str


@dataclass(frozen=True)
class Prediction:
    """The figures of a model over generations.

    Attributes:
        law: label of the law in force; `None` where there is no closed form.
        note: where there is none: what stands in the way.
        limit: what the model tends to; `None` where that is not known.
        generations: the reported generations, shape (S,).
        figures: for each name in `FIGURES` an array (S, *contexts); with samples
            (S, R, *contexts). The recovery temperature b is the one at which sampling a generation
            would restore generation 0 as far as a temperature can; with b <= 0 none does.
        modes: index of the mode, shape (S, *contexts); `None` with samples.
        logits: the model at the last generation, if asked for; `None` with samples.
        ending: with samples: how long the outcomes last, exactly; else `None`.
    """

    law: str | None
    note: str
    limit: Limit | None
    generations: np.ndarray
    figures: dict[str, np.ndarray]
    modes: np.ndarray | None
    logits: np.ndarray | None
    ending: Ending | None = None

    @property
    def sampled(self) -> bool:
        """Whether the figures are those of random replicates."""
        return self.modes is None

    def mean(self, name: str) -> tuple[np.ndarray, np.ndarray | None]:
        """Mean of a figure in each generation, and with samples its standard error.

        The mean is over contexts and replicates, the error from the spread of the replicates.
        Undefined recovery temperatures are left out of the mean; it is NaN where none is left and
        where it is not positive, hence no temperature.
        """
        values = self.figures[name]
        values = _mean(values, tuple(range(1 + self.sampled, values.ndim)))
        mean = _mean(values, 1) if self.sampled else values
        number = (~np.isnan(values)).sum(1) if self.sampled else None
        if name == "recovery_temperature":
            mean = np.where(mean > 0, mean, np.nan)
        if number is None:
            return mean, None
        squares = np.nansum((values - mean[:, None]) ** 2, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.sqrt(squares / (number - 1) / number)
        return mean, np.where(np.isnan(mean) | (number < 2), np.nan, error)


def reported_generations(num_generations: int) -> np.ndarray:
    """The generations to report: all of them, or 0, 1, 2, 5, 10, 20, ... and the last.

    Example:
        >>> reported_generations(3).tolist(), reported_generations(10**6)[-4:].tolist()
        ([0, 1, 2, 3], [100000, 200000, 500000, 1000000])
    """
    if num_generations <= EVERY_GENERATION:
        return np.arange(num_generations + 1)
    series = (m * 10**e for e in range(len(str(num_generations))) for m in (1, 2, 5))
    return np.array([0, *(n for n in series if n < num_generations), num_generations])


def predict(
    loop: Loop,
    logits: np.ndarray,
    num_generations: int,
    *,
    num_replicates: int | None = None,
    seed: int = 0,
    keep_logits: bool = False,
) -> Prediction:
    """Follow a model over generations.

    Args:
        loop: the process; its corpus is `Exact()` or `Fresh(num_samples)`, its learner `Refit()`.
        logits: the model at generation 0, shape (*contexts, num_outcomes). Whatever its own
            type, arithmetic is done in JAX's default one.
        num_generations: how many generations, at least 0.
        num_replicates: independent runs; needed with a sampled corpus, and only there.
        seed: of the random numbers, with a sampled corpus.
        keep_logits: whether to hand over the model at the last generation.

    Returns:
        The figures of the generations that `reported_generations` names.

    Raises:
        ValueError: replicates without a sampled corpus, or the other way round.

    Validity:
        Exact with an exact corpus: a closed form where `law` names one, else the loop itself, which
        draws nothing at random. With samples: estimates with standard errors
        (`tests/test_prediction.py`).

    Example:
        >>> import fixedpoint as fp
        >>> found = predict(fp.Loop(sampler=fp.Temperature(0.5)), np.log([0.75, 0.25]), 1)
        >>> found.law, found.figures["mode_probability"].round(12).tolist()
        ('tempering.logits', [0.75, 0.9])
    """
    sampled = isinstance(loop.corpus, Fresh)
    if sampled != (num_replicates is not None):
        raise ValueError(
            "`num_replicates` must be given with a sampled corpus, and only there; "
            f"got {num_replicates} with {type(loop.corpus).__name__}."
        )
    contexts = logits.shape[:-1]
    rows = logits.reshape(-1, logits.shape[-1])
    generations = reported_generations(num_generations)
    last = None
    try:
        solution, note = solve(loop, jnp.asarray(rows)), ""
    except NoClosedForm as reason:
        solution, note = None, str(reason)
    if num_replicates is not None:
        figures, limit = _sample(loop, rows, generations, num_replicates, seed)
    elif isinstance(solution, Tempered):
        figures, limit = _temper(rows, float(solution.rate()), generations)
        if keep_logits:
            last = np.asarray(solution.logits(num_generations))
    else:
        figures, limit, last = _follow(loop, rows, generations)
    law = None if solution is None else solution.law
    figures = {name: part.reshape(*part.shape[:-1], *contexts) for name, part in figures.items()}
    modes = figures.pop("mode", None)
    last = last.reshape(logits.shape) if keep_logits and last is not None else None
    end = None if num_replicates is None else ending(loop, rows)
    return Prediction(law, note, limit, generations, figures, modes, last, end)


def _temper(
    rows: np.ndarray, rate: float, generations: np.ndarray
) -> tuple[dict[str, np.ndarray], Limit]:
    """The closed form: generation n is generation 0 at inverse temperature rate^n."""
    with np.errstate(over="ignore", under="ignore"):
        inverse_temperatures = np.float64(rate) ** generations
    end = np.float64(rate) ** np.inf
    swept = sweep(rows, np.append(inverse_temperatures, end))._asdict()
    figures = {name: np.asarray(values)[:-1] for name, values in swept.items()}
    # Beyond the largest and below the smallest float there is no temperature to sample at.
    usable = np.isfinite(inverse_temperatures) & (inverse_temperatures > 0)
    recovery = np.where(usable, inverse_temperatures, np.nan)
    ones = np.ones(len(rows))
    figures["recovery_temperature"] = recovery[:, None] * ones
    # No temperature loses an outcome, but the end of cooling does: there the divergence is
    # -log of what the modes had.
    change = figures["kl_from_start"]
    figures["kl_lost_modes"] = np.where(np.isinf(inverse_temperatures)[:, None], change, 0.0)
    figures["kl_temperature"] = change - figures["kl_lost_modes"]
    figures["kl_rest"] = np.zeros_like(change)
    # Zero times a logit of -inf is still -inf: at b = 0 every outcome with a chance is a mode.
    flat = np.argmax(np.isfinite(rows), axis=-1)
    first = np.where((inverse_temperatures > 0)[:, None], np.argmax(rows, axis=-1), flat)
    figures["mode"] = first
    surviving = np.asarray(swept["surviving"])[-1]
    statements = {0.0: "uniform on the {}", 1.0: "generation 0 itself: nothing moves"}
    statement = statements.get(float(end), "uniform on the {}")
    what = "outcomes" if end == 0 else "modes"
    if "{}" in statement and (surviving == 1).all():
        statement = "the mode alone" if end else "the only outcome"
    else:
        number = f"{surviving[0]:,} {what}" if (surviving == surviving[0]).all() else what
        statement = statement.format(number)
    return figures, Limit(
        statement, {name: float(np.asarray(swept[name])[-1].mean()) for name in STATE}
    )


class _Observe(eqx.Module):
    """Reads the figures off a model, given the one at generation 0."""

    start: Any

    def __call__(self, logits: Any) -> dict[str, Any]:
        parts = simplex.decomposition(logits, self.start)
        return {
            "entropy": simplex.entropy(logits),
            "mode_probability": simplex.mode_probability(logits),
            "effective_number": simplex.effective_number(logits),
            "surviving": simplex.num_surviving(logits),
            "kl_from_start": simplex.kl_divergence(logits, self.start),
            "kl_lost_modes": parts.lost_modes,
            "kl_temperature": parts.temperature,
            "kl_rest": parts.rest,
            "recovery_temperature": parts.inverse_temperature,
        }


def _follow(
    loop: Loop, rows: np.ndarray, generations: np.ndarray
) -> tuple[dict[str, np.ndarray], Limit | None, np.ndarray]:
    """The loop itself, without sampling: from each reported generation to the next."""
    parts, lasts, settled = [], [], []
    for start in _blocks(rows, rows.shape[1]):
        observe = eqx.filter_jit(_Observe(start))
        model, found, since = start, [], None
        for number, gap in enumerate(np.diff(generations, prepend=0)):
            before = simplex.probabilities(model)
            if gap:
                model = run(
                    loop, model, int(gap), save_at=[int(gap)], progress=None if gap > 1 else False
                ).value[0]
            change = float(jnp.abs(simplex.probabilities(model) - before).max())
            if number and change > STATIONARY:
                since = None
            elif number and since is None:
                since = int(generations[number - 1])
            found.append({**observe(model), "mode": simplex.mode(model)})
        parts.append(jax.tree.map(lambda *values: np.stack(values), *found))
        lasts.append(np.asarray(model))
        settled.append(since)
    figures = _joined(parts)
    limit = None
    if None not in settled:
        statement = (
            f"nothing moves by more than 1e-12 from generation {max(settled)} on (seen, not proved)"
        )
        ends = {name: float(figures[name][-1].mean()) for name in STATE}
        ends["entropy"] *= ends["entropy"] > STATIONARY  # on its way to 0 as far as was looked
        limit = Limit(statement, ends)
    return figures, limit, np.concatenate(lasts)


def _sample(
    loop: Loop, rows: np.ndarray, generations: np.ndarray, num_replicates: int, seed: int
) -> tuple[dict[str, np.ndarray], Limit]:
    """The sampled loop, in replicates."""
    parts = []
    assert isinstance(loop.corpus, Fresh)
    # Beyond 64 samples per outcome the counts are drawn outcome by outcome, in no more memory.
    drawn = min(loop.corpus.num_samples, 64 * rows.shape[1])
    width = num_replicates * max(rows.shape[1], drawn)
    for number, start in enumerate(_blocks(rows, width)):
        runs = run(
            loop,
            start,
            int(generations[-1]),
            key=jax.random.fold_in(jax.random.key(seed), number),
            num_replicates=num_replicates,
            observe=_Observe(start),
            save_at=generations.tolist(),
        )
        parts.append(jax.tree.map(np.asarray, runs.value))
    # A finite corpus draws one and the same outcome with positive probability, and then for ever.
    alone: dict[str, float] = dict(zip(STATE, (0.0, 1.0, 1.0, 1.0), strict=True))
    return _joined(parts), Limit(
        "in the end one outcome alone, with probability 1; chance decides which and when", alone
    )


def ending(loop: Loop, rows: np.ndarray) -> Ending:
    """How long the outcomes of sampled models last, where an exact chain can say it.

    Args:
        loop: a loop whose corpus is `Fresh(num_samples)` and whose learner is `Refit()`.
        rows: the models at generation 0, shape (contexts, num_outcomes).

    Returns:
        Mean times over runs and contexts: for two outcomes and, with few samples, for more, of
        any loop; at temperature 1, without truncation, the time to fixation for any number.

    Example:
        >>> import fixedpoint as fp
        >>> found = ending(fp.Loop(corpus=fp.Fresh(4)), np.log([[0.25, 0.25, 0.5]]))
        >>> print(f"{found.fixation:.6f}")  # exactly 749/145
        5.165517
    """
    assert isinstance(loop.corpus, Fresh)
    num_samples = loop.corpus.num_samples
    for number, most, what in (
        (num_samples, LARGEST_CHAIN, "samples"),
        (len(rows), LARGEST_CONTEXTS, "contexts"),
        (rows.size * num_samples, LARGEST_TABLE, "outcomes x samples"),
    ):
        if number > most:
            return Ending(None, None, f"not computed beyond {most:,} {what}")
    neutral = all(isinstance(s, Temperature) and float(s.temperature) == 1 for s in loop.samplers)
    chains: dict[int, tuple[Chain, np.ndarray, np.ndarray]] = {}
    losses, fixations, note = [], [], ""
    for row in rows:
        alive = row[row > -np.inf]
        states = math.comb(num_samples + len(alive) - 1, len(alive) - 1)
        try:
            if len(alive) == 1:
                loss = fixation = 0.0
            elif states <= LARGEST_CHAIN:
                if len(alive) not in chains:
                    chains[len(alive)] = _times(from_loop(loop, len(alive)))
                chain, lost, fixed = chains[len(alive)]
                first = chain.first_generation(alive)
                loss, fixation = 1 + float(first @ lost), 1 + float(first @ fixed)
            else:
                loss, fixation = None, None
                note = f"no exact chain of {len(alive):,} outcomes and {num_samples:,} samples"
                if neutral:
                    fixation = fixation_time(alive, num_samples)
                else:
                    note += " at this temperature"
        except FloatingPointError as failure:
            loss, fixation, note = None, None, str(failure)
        if fixation == np.inf or loss == np.inf:
            loss, fixation, note = None, None, "longer than 1e308 generations"
        losses.append(loss)
        fixations.append(fixation)

    def mean(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if len(known) == len(values) else None

    return Ending(mean(losses), mean(fixations), note)


def _times(chain: Chain) -> tuple[Chain, np.ndarray, np.ndarray]:
    """The chain, and from each of its states the mean times to the first loss and to fixation."""
    fixation = absorption(chain).mean
    if chain.counts.shape[1] == 2:
        return chain, fixation, fixation
    return chain, absorption(chain.stopped((chain.counts == 0).any(-1))).mean, fixation


def _blocks(rows: np.ndarray, width: int) -> Iterator[Any]:
    size = max(1, BLOCK // width)
    for first in range(0, len(rows), size):
        yield jnp.asarray(rows[first : first + size], dtype=float)


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts], axis=-1) for name in parts[0]}


def _mean(values: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
    """Mean of what is not NaN; NaN where nothing is left."""
    number = (~np.isnan(values)).sum(axis)
    with np.errstate(invalid="ignore"):
        return np.nansum(values, axis) / np.where(number, number, np.nan)
