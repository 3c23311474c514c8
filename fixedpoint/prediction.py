"""What becomes of a model, generation by generation: the figures that `fixedpoint predict` prints.

Where a law governs the loop its closed form is evaluated, all generations in one pass over the
logits; otherwise the loop is run: exactly for an exact corpus, in replicates for a sampled one.
Contexts are then taken in blocks and one generation at a time, so that memory grows neither with
the number of contexts nor with that of generations.
"""

import math
import sys
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from fixedpoint import simplex
from fixedpoint.ending import Ending, ending
from fixedpoint.kernels import sweep
from fixedpoint.laws.solve import NoClosedForm, Tempered, solve
from fixedpoint.loop import Loop, kind, run
from fixedpoint.loop.survivors import Survivors

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
class Prediction:
    """The figures of a model over generations.

    Attributes:
        law: label of the law in force; `None` where there is no closed form.
        note: where there is none: what stands in the way.
        limit: what the model tends to; `None` where that is not known.
        generations: the reported generations, shape (S,).
        figures: for each name in `FIGURES` an array (S, *contexts); with samples
            (S, R, *contexts). The recovery temperature is the one at which sampling a generation
            would restore generation 0 as far as a temperature can; none does where it is not
            positive, or NaN: where what is left is equally likely, now or in generation 0.
        modes: index of the mode, shape (S, *contexts); `None` with samples.
        logits: the model at the last generation, if asked for; `None` with samples.
        ending: with samples: how long the outcomes last; else `None`.
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
        A recovery temperature that does not exist is left out of the mean, which is NaN where none
        is left; `recovered` counts those there are.
        """
        values = self.figures[name]
        if name == "recovery_temperature":
            values = np.where(values > 0, values, np.nan)
        values = _mean(values, tuple(range(1 + self.sampled, values.ndim)))
        mean = _mean(values, 1) if self.sampled else values
        number = (~np.isnan(values)).sum(1) if self.sampled else None
        if number is None:
            return mean, None
        squares = np.nansum((values - mean[:, None]) ** 2, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.sqrt(squares / (number - 1) / number)
        return mean, np.where(np.isnan(mean) | (number < 2), np.nan, error)

    def recovered(self) -> tuple[np.ndarray, int]:
        """In how many of the runs and contexts there is a recovery temperature, and of how many."""
        exists = self.figures["recovery_temperature"] > 0
        return exists.sum(tuple(range(1, exists.ndim))), int(np.prod(exists.shape[1:], dtype=int))


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


def seconds(
    loop: Loop, logits: np.ndarray, num_generations: int, num_replicates: int | None = None
) -> float:
    """About how long `predict` takes where the loop must be run, to the order of magnitude.

    Args:
        loop: the process.
        logits: the model at generation 0, shape (*contexts, num_outcomes).
        num_generations: how many generations.
        num_replicates: independent runs, with a sampled corpus.

    Returns:
        The time in seconds on two cores, without compilation; 0 for a closed form.
    """
    *contexts, outcomes = logits.shape
    models = math.prod(contexts) * float(num_replicates or 1)
    reported = len(reported_generations(num_generations))
    n = kind.num_samples(loop.corpus)
    if n is not None:
        width = min(n, outcomes)
        survivors, busy = float(width) * num_generations, float(num_generations)
        if float(kind.temperature(loop.samplers)) <= 1:
            # About 2n/t outcomes are left at generation t, and one after some 2n generations.
            busy = min(busy, 4.0 * n)
            survivors = min(survivors, 2.0 * n * (1 + math.log(1 + busy * width / n)))
        # Two outcomes, or few samples, are drawn by kernels.
        each = 2e-9 if width == 2 and n <= 10_000 else 1e-8 if n <= 256 else 1e-7
        reading = 1e-7 * min(float(reported), busy) * width
        return busy * 500 * each + models * (each * survivors + reading)
    if _is_closed(loop, logits):
        return 0.0
    observing = reported * (2e-3 + 2e-6 * models * outcomes)
    return observing + num_generations * (5e-5 + 1.5e-7 * models * outcomes)


def _is_closed(loop: Loop, logits: np.ndarray) -> bool:
    """Whether the figures are those of a closed form."""
    try:
        # Which law governs does not depend on the contexts.
        return isinstance(
            solve(loop, jnp.asarray(logits.reshape(-1, logits.shape[-1])[:1])), Tempered
        )
    except NoClosedForm:
        return False


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

    Example:
        >>> import fixedpoint as fp
        >>> found = predict(fp.Loop(sampler=fp.Temperature(0.5)), np.log([0.75, 0.25]), 1)
        >>> found.law, found.figures["mode_probability"].round(12).tolist()
        ('tempering.logits', [0.75, 0.9])
    """
    sampled = kind.num_samples(loop.corpus) is not None
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
        # The law of a sampled loop is wanted by name alone, which one context decides.
        solution, note = solve(loop, jnp.asarray(rows[:1] if sampled else rows)), ""
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
    if any(np.isnan(figures[name]).any() for name in (*STATE, "kl_from_start", *PARTS)):
        raise FloatingPointError(
            "the figures are not numbers: are the logits, over the generations, too large for "
            f"float64? They span {_span(rows):.3g}."
        )
    law = None if solution is None else solution.law
    figures = {name: part.reshape(*part.shape[:-1], *contexts) for name, part in figures.items()}
    modes = figures.pop("mode", None)
    last = last.reshape(logits.shape) if keep_logits and last is not None else None
    end = None if num_replicates is None else ending(loop, rows)
    return Prediction(law, note, limit, generations, figures, modes, last, end)


def _span(rows: np.ndarray) -> float:
    """The largest difference of two finite logits of a row."""
    lowest = np.where(np.isneginf(rows), np.inf, rows).min(-1)
    return float((rows.max(-1).astype(float) - lowest).max())


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
    # Nothing ever moves where all that is left is equally likely.
    flat = (rows == rows.max(-1, keepdims=True)) | np.isneginf(rows)
    figures["recovery_temperature"] = np.where(flat.all(-1), 1.0, recovery[:, None])
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
        lost = simplex.decomposition(logits, self.start).lost_modes
        num_lost = simplex.num_surviving(self.start) - simplex.num_surviving(logits)
        return _figures(logits, self.start, lost, num_lost)

    @staticmethod
    def of_survivors(survivors: Survivors) -> dict[str, Any]:
        """The same, from what a refitted model has not lost."""
        logits, initial, num_lost = survivors
        kept = jax.nn.logsumexp(initial, axis=-1)
        return _figures(logits, initial, jnp.where(num_lost > 0, -kept, 0.0), num_lost)


def _figures(logits: Any, initial: Any, lost: Any, num_lost: Any) -> dict[str, Any]:
    """The figures of a model that has lost so many outcomes, and their probability by so much.

    What the initial model says of outcomes that are lost does not matter.
    """
    kept = logits > -jnp.inf
    initial = jnp.where(kept, initial, -jnp.inf)
    parts = simplex.decomposition(logits, initial)
    flat, flat_start = _flat(logits, kept), _flat(initial, kept)
    # No temperature changes what is equally likely, and no finite one makes it so.
    none = jnp.where(flat & flat_start & (num_lost == 0), 1.0, jnp.nan)
    recovery = jnp.where(flat | flat_start, none, parts.inverse_temperature)
    return {
        "entropy": simplex.entropy(logits),
        "mode_probability": simplex.mode_probability(logits),
        "effective_number": simplex.effective_number(logits),
        "surviving": simplex.num_surviving(logits),
        "kl_from_start": lost + simplex.kl_divergence(logits, initial),
        "kl_lost_modes": lost,
        "kl_temperature": parts.temperature,
        "kl_rest": parts.rest,
        "recovery_temperature": recovery,
    }


def _flat(logits: Any, kept: Any) -> Any:
    """Whether the outcomes kept are equally likely."""
    return jnp.all(~kept | (logits == jnp.where(kept, logits, -jnp.inf).max(-1, keepdims=True)), -1)


def _follow(
    loop: Loop, rows: np.ndarray, generations: np.ndarray
) -> tuple[dict[str, np.ndarray], Limit | None, np.ndarray]:
    """The loop itself, without sampling: from each reported generation to the next."""
    parts, lasts, settled = [], [], []
    blocks = _blocks(rows, rows.shape[1])
    bar = _progress_bar(len(blocks) * int(generations[-1]), "generation")
    for start in blocks:
        start = jnp.asarray(start, dtype=float)
        observe = eqx.filter_jit(_Observe(start))
        model, found, since = start, [], None
        for number, gap in enumerate(np.diff(generations, prepend=0)):
            before = simplex.probabilities(model)
            if gap:
                long = None if gap > EVERY_GENERATION else False
                model = run(loop, model, int(gap), save_at=[int(gap)], progress=long).value[0]
            bar.update(int(gap))
            change = float(jnp.abs(simplex.probabilities(model) - before).max())
            if number and change > STATIONARY:
                since = None
            elif number and since is None:
                since = int(generations[number - 1])
            found.append({**observe(model), "mode": simplex.mode(model)})
        parts.append(jax.tree.map(lambda *values: np.stack(values), *found))
        lasts.append(np.asarray(model))
        settled.append(since)
    bar.close()
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
    # Generation 0 is the same in all replicates, and needs no program of its own.
    start, _ = _temper(rows, 1.0, generations[:1])
    figures = {name: np.repeat(start[name][:, None], num_replicates, axis=1) for name in FIGURES}
    if len(generations) > 1:
        model = rows.astype(float)
        runs = run(
            loop,
            model,
            int(generations[-1]),
            key=jax.random.key(seed),
            num_replicates=num_replicates,
            observe=_Observe(model),
            save_at=generations[1:].tolist(),
        )
        figures = {
            name: np.concatenate([value, runs.value[name]]) for name, value in figures.items()
        }
    # A finite corpus draws one and the same outcome with positive probability, and then for ever.
    alone: dict[str, float] = dict(zip(STATE, (0.0, 1.0, 1.0, 1.0), strict=True))
    return figures, Limit(
        "in the end one outcome alone, with probability 1; chance decides which and when", alone
    )


def _blocks(rows: np.ndarray, width: int) -> list[np.ndarray]:
    size = max(1, BLOCK // width)
    return [rows[first : first + size] for first in range(0, len(rows), size)]


def _progress_bar(total: int, unit: str) -> Any:
    """A bar on a terminal, and nothing elsewhere or where there is nothing to wait for."""
    from tqdm import tqdm  # loaded when needed, as in `fixedpoint.loop`

    disable = total == 0 or not sys.stderr.isatty()
    return tqdm(total=total, disable=disable, unit=unit, leave=False, delay=1)


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts], axis=-1) for name in parts[0]}


def _mean(values: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
    """Mean of what is not NaN; NaN where nothing is left."""
    number = (~np.isnan(values)).sum(axis)
    with np.errstate(invalid="ignore"):
        return np.nansum(values, axis) / np.where(number, number, np.nan)
