"""The verb `predict`: what it reads, what it refuses, and what it writes."""

import argparse
import contextlib
import io
import json
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fixedpoint.cli.complaints import LARGEST, ComputationError, InputError, complaints
from fixedpoint.cli.plot import draw
from fixedpoint.cli.report import as_json, print_heading, print_prediction, replicates

if TYPE_CHECKING:
    from fixedpoint.inputs import Distribution
    from fixedpoint.prediction import Prediction

PLOT_SUFFIXES = (".pdf", ".png", ".svg")

LARGEST_ENSEMBLE = 2**27
"""Replicates times outcomes that are followed at once: 1 GB, and a few times that in passing."""

LARGEST_FIGURES = 2**27
"""Figures that are stored of all generations, replicates and contexts: 1 GB."""

LONG, LONGEST = 5.0, 86400.0
"""Seconds from which on a prediction says how long it takes, and is refused."""

HELP = """\
INPUT is one of
  x.npy        logits, shape (..., outcomes); with --probabilities, probabilities
  x.npz        the same: its only array, or the one named logits or probabilities
  x.csv        lines outcome,count; a header is optional, and semicolons, tabs (x.tsv) or blanks
               separate as well; a first line sep=; says which
  text:FILE    the characters of a UTF-8 text (text:- reads standard input)
  words:FILE   its words, in lower case: letters of any alphabet, apostrophes inside

One generation draws from the model at the temperature, cut by top-k, top-p and min-p in this order
(each renormalises before the next), and trains a full refit on what was drawn: the exact
distribution, or with --samples that many draws. Several contexts, i.e. an input of shape
(..., outcomes), are followed separately, and each figure printed is their mean.

Per generation: entropy in nats; the mode and its probability; the effective number of outcomes,
exp(entropy); how many outcomes survive, i.e. have a probability above 0; the Kullback-Leibler
divergence from generation 0, KL(p_n || p_0), in nats; and the recovery temperature, at which
sampling that generation would bring generation 0 back as far as a temperature can; of runs with
samples the mean of those that have one (where one outcome is left none brings anything back), and
how many these are. The divergence is split into lost modes (undone by nothing), temperature
(undone by another) and the rest: of the last generation on the screen, of each in --json, --output
and --plot. Of more than 1,000 generations those of the series 1, 2, 5, 10, 20, ... are reported.

examples:
  fixedpoint predict words:novel.txt --temperature 0.9 --generations 20
  fixedpoint predict counts.csv --temperature 1 --generations 50 --samples 100 --replicates 200
  fixedpoint predict logits.npy --temperature 0.8 --generations 10 --top-p 0.95 --json
"""


def predict(options: argparse.Namespace) -> int:
    """Read a model, follow it over generations, print, plot and store the figures."""
    import jax

    with contextlib.suppress(RuntimeError):  # too late once JAX has been used
        jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)
    from fixedpoint import prediction
    from fixedpoint.inputs import read_logits

    with complaints("INPUT"):
        loop = _loop(options)
        _check_target(options.output, "--output", (".npz",))
        _check_target(options.plot, "--plot", PLOT_SUFFIXES)
        with warnings.catch_warnings(record=True) as doubts:
            warnings.simplefilter("always")
            model = read_logits(options.input, options.probabilities)
        _check_size(options, model)
    for doubt in doubts:
        print(f"fixedpoint predict: warning: {doubt.message}", file=sys.stderr)
    _announce(options, model, loop)
    if not options.json:
        print_heading(model, options)
    try:
        found = prediction.predict(
            loop,
            model.logits,
            options.generations,
            num_replicates=None if options.samples is None else replicates(options),
            seed=options.seed or 0,
            keep_logits=options.output is not None,
        )
    except (FloatingPointError, jax.errors.JaxRuntimeError) as failure:  # the latter: no memory
        raise ComputationError(" ".join(str(failure).split())) from None
    if options.output:
        with complaints("--output"):
            _write(Path(options.output), lambda file: _save(file, found, model))
    if options.plot:
        suffix = Path(options.plot).suffix.lower()[1:]
        with complaints("--plot"):
            _write(Path(options.plot), lambda file: draw(file, suffix, found, options, model))
    if options.json:
        print(json.dumps(as_json(found, model), indent=2, allow_nan=False))
    else:
        print_prediction(found, model)
    return 0


def _loop(options: argparse.Namespace) -> Any:
    """The loop that the options ask for; every one of them is checked here."""
    import fixedpoint as fp
    from fixedpoint import checks

    checks.check_temperature(options.temperature, "--temperature")
    _check_whole(options.generations, "--generations", minimum=0)
    samplers: list[Any] = [fp.Temperature(options.temperature)]
    if options.top_k is not None:
        _check_whole(options.top_k, "--top-k", minimum=1)
        samplers.append(fp.TopK(options.top_k))
    if options.top_p is not None:
        if not 0 < options.top_p <= 1:
            raise ValueError(f"`--top-p` must be > 0 and <= 1; got {options.top_p}.")
        samplers.append(fp.Nucleus(options.top_p))
    if options.min_p is not None:
        samplers.append(fp.MinP(checks.check_fraction(options.min_p, "--min-p")))
    if options.samples is None:
        for flag, value in (("--replicates", options.replicates), ("--seed", options.seed)):
            if value is not None:
                raise ValueError(f"`{flag}` must come with --samples; got {value} without it.")
        corpus: Any = fp.Exact()
    else:
        _check_whole(options.samples, "--samples", minimum=1)
        _check_whole(replicates(options), "--replicates", minimum=1)
        _check_whole(options.seed or 0, "--seed", minimum=0)
        corpus = fp.Fresh(options.samples)
    sampler = samplers[0] if len(samplers) == 1 else tuple(samplers)
    return fp.Loop(sampler=sampler, corpus=corpus, learner=fp.Refit())


def _check_whole(value: int, flag: str, minimum: int) -> None:
    from fixedpoint import checks

    if value > LARGEST:
        raise ValueError(f"`{flag}` must be <= {LARGEST:,}; got {value:,}.")
    checks.check_count(value, flag, minimum)


def _check_size(options: argparse.Namespace, model: "Distribution") -> None:
    """Refuse what would not fit into memory."""
    from fixedpoint.prediction import FIGURES, reported_generations

    runs, outcomes = 1, model.num_outcomes
    if options.samples is not None:
        runs = replicates(options)
        if runs * outcomes > LARGEST_ENSEMBLE:
            most = LARGEST_ENSEMBLE // outcomes
            raise ValueError(
                f"`--replicates` must be <= {most:,} for {outcomes:,} outcomes; got {runs:,}."
            )
    reported = len(reported_generations(options.generations))
    stored = reported * runs * model.num_contexts * len(FIGURES)
    if stored > LARGEST_FIGURES:
        raise ValueError(
            f"`INPUT` must have fewer contexts, or --generations or --replicates be fewer: "
            f"{reported:,} generations, {runs:,} runs and {model.num_contexts:,} contexts "
            f"have {stored:,} figures, at most {LARGEST_FIGURES:,} are kept."
        )


def _announce(options: argparse.Namespace, model: "Distribution", loop: Any) -> None:
    """Say beforehand, beside the output, what takes long; refuse what takes more than a day."""
    from fixedpoint.prediction import seconds

    runs = None if options.samples is None else replicates(options)
    needed = seconds(loop, model.logits, options.generations, runs)
    if needed > LONGEST:
        fewer = "--generations" if options.samples is None else "--generations or --replicates"
        raise InputError(
            f"`--generations` must take less than a day; {options.generations:,} would take "
            f"{_time(needed)} for this input: take fewer {fewer}."
        )
    if needed > LONG:
        print(f"fixedpoint predict: this takes {_time(needed)}", file=sys.stderr, flush=True)


def _time(duration: float) -> str:
    """A rough time in words."""
    for unit, size in (("years", 3.15e7), ("days", 86400), ("hours", 3600), ("minutes", 60)):
        if duration >= 2 * size:
            return f"about {float(f'{duration / size:.1g}'):,.0f} {unit}" if size < 3e7 else unit
    return f"about {duration:.0f} seconds"


def _check_target(target: str | None, flag: str, suffixes: Sequence[str]) -> None:
    """Refuse a file that could not be written, before anything is computed."""
    if target is None:
        return
    path = Path(target)
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"`{flag}` must end in {' or '.join(suffixes)}; got {target!r}.")
    if path.is_dir():
        raise ValueError(f"`{flag}` must be a file; {target!r} is a directory.")
    if not path.parent.is_dir():
        raise ValueError(f"`{flag}` must be in an existing directory; {path.parent} is none.")
    if not os.access(path.parent, os.W_OK):
        raise ValueError(f"`{flag}` must be where you may write; {path.parent} is not.")


def _write(path: Path, save: Callable[[io.BytesIO], None]) -> None:
    """Write a file whole or not at all: a temporary neighbour is renamed over it."""
    content = io.BytesIO()
    save(content)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content.getbuffer())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _save(file: io.BytesIO, found: "Prediction", model: "Distribution") -> None:
    import numpy as np

    arrays: dict[str, Any] = {"generation": found.generations, **found.figures}
    if found.modes is not None:
        arrays["mode"] = found.modes
    if found.logits is not None:
        arrays["logits"] = found.logits
    if model.outcomes is not None:
        # (NumPy cuts zeros off the end of a text.)
        arrays["outcomes"] = np.array([name.replace("\0", "␀") for name in model.outcomes])
    np.savez(file, **arrays)
