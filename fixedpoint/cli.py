"""The command `fixedpoint`: laws, verify, cite, predict, reproduce.

Every complaint about the input is one line on the error stream that names the argument, the rule
and the value, and the exit status is then 2; a failed verification or reproduction exits with 1.
"""

import argparse
import contextlib
import difflib
import io
import json
import math
import os
import re
import sys
import textwrap
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from fixedpoint.confront import Verdict
    from fixedpoint.inputs import Distribution
    from fixedpoint.prediction import Ending, MeanTime, Prediction

WIDTH = 100
"""Columns that the output keeps within."""

VERBS = ("laws", "show", "verify", "cite", "predict", "reproduce")

PLOT_SUFFIXES = (".pdf", ".png", ".svg")

PART_COLOURS = ("#bd1f01", "#3f90da", "#b9b9b9")
"""Of lost modes, temperature and the rest in a plot: those of the paper."""

SHOWN_GENERATIONS = 40
"""More generations than these are thinned out on the screen (never in --json and --output)."""

LARGEST = 10**15
"""Largest whole number accepted: floats count every one up to it."""

LARGEST_ENSEMBLE = 2**27
"""Replicates times outcomes that are followed at once: 1 GB, and a few times that in passing."""

LARGEST_FIGURES = 2**27
"""Figures that are stored of all generations, replicates and contexts: 1 GB."""

MOST_DECIMALS = 9
"""Where two digits of a standard error lie beyond, it is not shown."""

LONG, LONGEST = 5.0, 86400.0
"""Seconds from which on a prediction says how long it takes, and is refused."""

PREDICT_HELP = """\
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


class InputError(Exception):
    """Something the user gave is not what it must be; the message says what, in one line."""


class ComputationError(Exception):
    """What was asked for cannot be computed; the message says why, in one line."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage and leaving."""
        raise InputError(re.sub(r"^argument ([^:]+): ", r"`\1` ", message))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: its arguments; those of the process by default.

    Returns:
        The exit status: 0 when all is well, 1 when a verification failed, 2 for bad input.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a sign shows another
    name = "fixedpoint"
    if arguments and arguments[0] in VERBS:
        name += f" {arguments[0]}"
    try:
        options = parse(arguments)
        import jax

        jax.config.update("jax_enable_x64", True)
        _keep_programs(os.environ.get("FIXEDPOINT_CACHE"))
        return options.do(options)
    except InputError as complaint:
        print(f"{name}: {complaint}", file=sys.stderr)
        return 2
    except ComputationError as failure:
        print(f"{name}: {failure}", file=sys.stderr)
        return 1
    except MemoryError:
        print(f"{name}: out of memory", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader (head, a pager) has seen enough; leave nothing to flush at exit.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return 130


def _keep_programs(folder: str | None) -> None:
    """Keep compiled programs in a folder, for the next call, if one is named."""
    if folder:
        import jax

        jax.config.update("jax_compilation_cache_dir", str(Path(folder).expanduser()))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; the verb's function is in the result's `do`."""
    if arguments and not arguments[0].startswith("-") and arguments[0] not in VERBS:
        raise InputError(f"`VERB` must be one of {', '.join(VERBS)}; {_got(arguments[0], VERBS)}")
    parser = Parser(
        prog="fixedpoint",
        description="What becomes of a softmax model that is trained on its own samples.",
        epilog="Help on a verb: fixedpoint VERB --help. If the environment variable "
        "FIXEDPOINT_CACHE names a folder, compiled programs are kept there for the next call, "
        "which then starts faster.",
        formatter_class=lambda prog: argparse.HelpFormatter(
            prog, max_help_position=18, width=WIDTH
        ),
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version and leave")
    parser.set_defaults(do=lambda options: _introduce(parser, options))
    verbs = parser.add_subparsers(metavar="VERB", title="verbs")

    def raw(prog: str) -> argparse.HelpFormatter:
        return argparse.RawDescriptionHelpFormatter(prog, max_help_position=28, width=WIDTH)

    def verb(name: str, does: str, do: Callable[[argparse.Namespace], int], more: str = "") -> Any:
        added = verbs.add_parser(
            name,
            help=does,
            description=f"{does[0].upper()}{does[1:]}.",
            epilog=more,
            formatter_class=raw,
            allow_abbrev=False,
        )
        added.set_defaults(do=do)
        return added

    part = verb("laws", "list the laws with the verdicts of their last verification", laws)
    part.add_argument("--json", action="store_true", help="print a JSON list instead of a table")

    part = verb("show", "print one law on one page: claim, loop, proof, solution, verdict", show)
    part.add_argument("label", metavar="LABEL", help="a registered equation: tempering.logits")

    part = verb("verify", "make the three comparisons of each law: exit 1 if one fails", verify)
    part.add_argument(
        "labels", nargs="*", metavar="LABEL", help="tempering.logits, or tempering for all of a law"
    )
    part.add_argument(
        "--mutants",
        action="store_true",
        help="instead, put wrong answers made by machine in the place of each law's own, and count "
        "those that its proof and its experiments notice",
    )
    part.add_argument("--json", action="store_true", help="print a JSON list of the verdicts")

    part = verb("cite", "print BibTeX: the software, and the articles behind the laws used", cite)
    part.add_argument(
        "labels", nargs="*", metavar="LABEL", help="tempering.logits, or tempering for all of a law"
    )

    part = verb("predict", "say what becomes of a model over generations", predict, PREDICT_HELP)
    part.add_argument("input", metavar="INPUT", help="the model: see below")
    for flag, metavar, required, kind, what in (
        ("--temperature", "T", True, number, "draw at this temperature, 0 to inf"),
        ("--generations", "N", True, whole, "how many generations to follow, from 0 on"),
        ("--top-k", "K", False, whole, "draw from the K most probable outcomes only"),
        ("--top-p", "P", False, number, "... from the fewest that hold the probability P"),
        ("--min-p", "C", False, number, "... from those with at least C times the mode's"),
        ("--samples", "n", False, whole, "train on n draws in each generation, not on all"),
        ("--replicates", "R", False, whole, "with --samples: independent runs (default 100)"),
        ("--seed", "S", False, whole, "with --samples: seed of the random numbers (default 0)"),
    ):
        part.add_argument(flag, metavar=metavar, required=required, type=kind, help=what)
    part.add_argument(
        "--probabilities", action="store_true", help="INPUT holds probabilities, not logits"
    )
    part.add_argument("--plot", metavar="FILE", help="draw the figures: .pdf, .png or .svg")
    part.add_argument(
        "--output", metavar="FILE.npz", help="store all figures, and the last model as logits"
    )
    part.add_argument("--json", action="store_true", help="print one JSON object, not a table")

    verb(
        "reproduce",
        "verify every law, run the notebooks, draw the figures, build the paper",
        reproduce,
    )
    name = arguments[0] if arguments and arguments[0] in VERBS else ""
    usage = (verbs.choices[name] if name else parser).format_usage()
    arguments = _with_negative_values(arguments)
    _check_options(arguments, name, usage)
    parsed, surplus = parser.parse_known_args(arguments)
    if surplus:
        raise InputError(f"`{surplus[0]}` is one argument too many; {' '.join(usage.split())}")
    return parsed


def _with_negative_values(arguments: Sequence[str]) -> list[str]:
    """The arguments, with a value like -1e-3 or -inf tied to its option, which it resembles."""
    tied: list[str] = []
    for argument in arguments:
        after_option = tied and tied[-1].startswith("--") and "=" not in tied[-1]
        if argument.startswith("-") and after_option and _is_number(argument):
            tied[-1] += f"={argument}"
        else:
            tied.append(argument)
    return tied


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _check_options(arguments: Sequence[str], verb: str, usage: str) -> None:
    """Refuse an option that a verb does not have, and say the nearest that it has."""
    known = [*re.findall(r"--[a-z][a-z-]*", usage), "--help"]
    for argument in arguments:
        option = argument.partition("=")[0]
        if option == "--":
            return  # what follows are no options
        if re.match(r"-\D", option) and option not in (*known, "-h"):
            word = "--" + option.strip("-")
            near = [name for name in known if name.startswith(word)] or known
            of = verb or "fixedpoint"
            raise InputError(f"`{option}` is no option of {of}; {_got(option, near, word)}")


def number(text: str) -> float:
    """A float from the command line."""
    try:
        return float(text) + 0.0  # which makes 0 of -0
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number; got {text!r}.") from None


def whole(text: str) -> int:
    """An integer from the command line; 1e9 is one."""
    try:
        value = Decimal(text)
        # (The digits of 1e999999999 would not fit into memory.)
        if value.is_finite() and value.adjusted() > 30 and value > 0:
            raise argparse.ArgumentTypeError(f"must be <= {LARGEST:,}; got {text!r}.")
        if value.is_finite() and value == value.to_integral_value():
            return int(value)
    except InvalidOperation:
        pass
    raise argparse.ArgumentTypeError(
        f"must be a whole number (1000 or 1e3, without separators); got {text!r}."
    )


def _introduce(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    if options.version:
        import fixedpoint

        print(f"fixedpoint {fixedpoint.__version__}")
    else:
        parser.print_help()
    return 0


def _got(value: str, allowed: Sequence[str], meant: str | None = None) -> str:
    """What was got, and the nearest of what is allowed."""
    near = difflib.get_close_matches(meant or value, allowed, n=1, cutoff=0.5)
    return f"got {value!r}." + (f" Did you mean {near[0]!r}?" if near else "")


@contextlib.contextmanager
def _complaints(argument: str = "") -> Generator[None]:
    """Turn what a check or a file says of an argument into one line for the user."""
    try:
        yield
    except OSError as failure:
        where = f"{failure.filename}: " if failure.filename is not None else ""
        text = f"{where}{failure.strerror or failure}"
    except ValueError as failure:
        text = " ".join(str(failure).split())
    else:
        return
    raise InputError(text if text.startswith("`") else f"`{argument}` {text}")


# ---------------------------------------------------------------------------------- laws and verify


def laws(options: argparse.Namespace) -> int:
    """Print the table of laws."""
    from fixedpoint.confront import load
    from fixedpoint.laws.equation import equations

    record = load()
    rows = []
    for label, equation in equations().items():
        verdict = record.get(label, {}).get("mark", "not verified yet")
        rows.append((label, equation.kind, verdict, equation.statement))
    if options.json:
        names = ("label", "kind", "verdict", "statement")
        print(json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=2))
        return 0
    label_width = max((len(row[0]) for row in rows), default=5) + 2
    print(f"{'label':<{label_width}}{'kind':<12}verdict of the last verification")
    law = None
    for label, kind, verdict, statement in rows:
        if label.partition(".")[0] != law:
            law = label.partition(".")[0]
            print("─" * WIDTH)
        print(f"{label:<{label_width}}{kind:<12}{verdict}")
        print(textwrap.fill(statement, WIDTH, initial_indent="  ", subsequent_indent="  "))
    passed = sum(record.get(row[0], {}).get("passed", False) for row in rows)
    print("─" * WIDTH)
    print(
        f"{len(rows)} equations, {passed} of them verified. Verify: fixedpoint verify [LABEL ...]"
    )
    return 0


def show(options: argparse.Namespace) -> int:
    """Print one law on one page."""
    from fixedpoint.laws.equation import equations
    from fixedpoint.page import page

    register = equations()
    if options.label not in register:
        raise InputError(
            f"`LABEL` must be a registered equation; {_got(options.label, [*register])}"
        )
    print(page(options.label))
    return 0


def verify(options: argparse.Namespace) -> int:
    """Make the three comparisons and print them."""
    from fixedpoint.confront import verify_all
    from fixedpoint.reproduction import tally

    labels = selected(options.labels)
    if options.mutants:
        return _mutants(labels, options.json)
    started = time.perf_counter()
    # A process of its own takes seconds to start: worth it for a whole law.
    processes = (os.cpu_count() or 1) if len(labels) > 8 else 1
    verdicts = verify_all(labels, None if options.json else print_verdict, processes)
    failed = [verdict.label for verdict in verdicts if not verdict.passed]
    if options.json:
        print(json.dumps(_plain([v.as_dict() for v in verdicts]), indent=2, allow_nan=False))
    else:
        print(f"{tally(verdicts)}, in {time.perf_counter() - started:.0f} s")
    return 1 if failed else 0


def _mutants(labels: Sequence[str], as_json: bool) -> int:
    """Print how many wrong answers fall in the proof, and how many in the confrontation."""
    from fixedpoint.confront import fell
    from fixedpoint.laws.equation import equations

    register, falls = equations(), []
    width = max(map(len, labels))
    if not as_json:
        print(f"{'label':<{width}}  mutants    in the proof  in the confrontation")
    for label in labels:
        found = fell(register[label])
        falls += found
        if as_json:
            continue
        proof = sum(fall.proof is True for fall in found)
        tied = f"{proof:>12}" if register[label].tied else f"{'no answer':>12}"
        rejected = sum(fall.confrontation for fall in found)
        print(f"{label:<{width}}  {len(found):>7}    {tied}  {rejected:>20}", flush=True)
        for fall in found:
            if not fall.confrontation and fall.proof is not True:
                print(textwrap.fill(f"survives: {fall.change}", WIDTH, initial_indent="    "))
    if as_json:
        print(json.dumps([fall._asdict() for fall in falls], indent=2))
        return 0
    tied = [fall for fall in falls if fall.proof is not None]
    both = sum(fall.confrontation or fall.proof is True for fall in falls)
    print(
        f"{len(falls)} mutants: {sum(bool(fall.proof) for fall in tied)} of {len(tied)} fall in a "
        f"proof that takes its answer, {sum(fall.confrontation for fall in falls)} in the "
        f"confrontation, {both} in either."
    )
    return 0


def _plain(value: Any) -> Any:
    """Data that JSON can say: infinities and whatever else it cannot, as strings."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    value = value.item() if hasattr(value, "item") else value
    if (
        value is None
        or isinstance(value, str | int)
        or (isinstance(value, float) and math.isfinite(value))
    ):
        return value
    return str(value)


def cite(options: argparse.Namespace) -> int:
    """Print the BibTeX entries of the software and of the articles behind the chosen laws."""
    from fixedpoint import citations

    print(citations.cite(selected(options.labels) if options.labels else ()))
    return 0


def selected(wanted: Sequence[str]) -> list[str]:
    """The labels that are meant: all by default, all of a law for the law's name."""
    from fixedpoint.laws.equation import equations

    register = equations()
    names = list(dict.fromkeys(equation.law for equation in register.values()))
    chosen: dict[str, None] = {}
    for name in wanted or names:
        found = [label for label in register if name in (label, label.partition(".")[0])]
        if not found:
            known = [*register, *names]
            raise InputError(f"`LABEL` must be a registered equation or law; {_got(name, known)}")
        chosen.update(dict.fromkeys(found))
    return list(chosen)


def print_verdict(verdict: "Verdict") -> None:
    """Print one equation's three comparisons."""
    print(f"{verdict}\n", flush=True)


# ------------------------------------------------------------------------------------------ predict


def predict(options: argparse.Namespace) -> int:
    """Read a model, follow it over generations, print, plot and store the figures."""
    import jax

    with contextlib.suppress(RuntimeError):  # too late once JAX has been used
        jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)
    from fixedpoint import prediction
    from fixedpoint.inputs import read_logits

    with _complaints("INPUT"):
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
            num_replicates=None if options.samples is None else _replicates(options),
            seed=options.seed or 0,
            keep_logits=options.output is not None,
        )
    except (FloatingPointError, jax.errors.JaxRuntimeError) as failure:  # the latter: no memory
        raise ComputationError(" ".join(str(failure).split())) from None
    if options.output:
        with _complaints("--output"):
            _write(Path(options.output), lambda file: _save(file, found, model))
    if options.plot:
        suffix = Path(options.plot).suffix.lower()[1:]
        with _complaints("--plot"):
            _write(Path(options.plot), lambda file: _draw(file, suffix, found, options, model))
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
        _check_whole(_replicates(options), "--replicates", minimum=1)
        _check_whole(options.seed or 0, "--seed", minimum=0)
        corpus = fp.Fresh(options.samples)
    sampler = samplers[0] if len(samplers) == 1 else tuple(samplers)
    return fp.Loop(sampler=sampler, corpus=corpus, learner=fp.Refit())


def _replicates(options: argparse.Namespace) -> int:
    return 100 if options.replicates is None else options.replicates


def _check_whole(value: int, flag: str, minimum: int) -> None:
    from fixedpoint import checks

    if value > LARGEST:
        raise ValueError(f"`{flag}` must be <= {LARGEST:,}; got {value:,}.")
    checks.check_count(value, flag, minimum)


def _check_size(options: argparse.Namespace, model: "Distribution") -> None:
    """Refuse what would not fit into memory."""
    from fixedpoint.prediction import FIGURES, reported_generations

    replicates, outcomes = 1, model.num_outcomes
    if options.samples is not None:
        replicates = _replicates(options)
        if replicates * outcomes > LARGEST_ENSEMBLE:
            most = LARGEST_ENSEMBLE // outcomes
            raise ValueError(
                f"`--replicates` must be <= {most:,} for {outcomes:,} outcomes; got {replicates:,}."
            )
    reported = len(reported_generations(options.generations))
    stored = reported * replicates * model.num_contexts * len(FIGURES)
    if stored > LARGEST_FIGURES:
        raise ValueError(
            f"`INPUT` must have fewer contexts, or --generations or --replicates be fewer: "
            f"{reported:,} generations, {replicates:,} runs and {model.num_contexts:,} contexts "
            f"have {stored:,} figures, at most {LARGEST_FIGURES:,} are kept."
        )


def _announce(options: argparse.Namespace, model: "Distribution", loop: Any) -> None:
    """Say beforehand, beside the output, what takes long; refuse what takes more than a day."""
    from fixedpoint.prediction import seconds

    replicates = None if options.samples is None else _replicates(options)
    needed = seconds(loop, model.logits, options.generations, replicates)
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


def as_json(found: "Prediction", model: "Distribution") -> dict[str, Any]:
    """The prediction as plain data; what is undefined is `None`."""
    from fixedpoint.prediction import FIGURES

    rows: list[dict[str, Any]] = [{"generation": int(n)} for n in found.generations]
    recovered, of = found.recovered()
    if found.modes is not None and not model.logits.shape[:-1]:
        for row, mode in zip(rows, found.modes, strict=True):
            row["mode"] = model.outcomes[mode] if model.outcomes else int(mode)
    for name in FIGURES:
        means, errors = found.mean(name)
        for index, row in enumerate(rows):
            row[name] = _defined(means[index])
            if name == "surviving" and found.modes is not None and means[index].is_integer():
                row[name] = int(means[index])
            if errors is not None:
                row[f"{name}_se"] = _defined(errors[index])
            if name == "recovery_temperature" and of > 1:
                row["recovered"] = int(recovered[index])
    limit = found.limit and {"statement": found.limit.statement, **found.limit.figures}
    return {
        "input": model.source,
        "outcomes": model.num_outcomes,
        "contexts": model.num_contexts,
        "law": found.law,
        "note": found.note or None,
        "limit": limit,
        "simulated": found.sampled,
        "exact_mean_times": found.ending and _mean_times(found.ending, exact=True),
        "asymptotic_mean_times": found.ending and _mean_times(found.ending, exact=False),
        "generations": rows,
    }


def _mean_times(ending: "Ending", exact: bool) -> dict[str, Any]:
    """Those of the mean times that are exact, or those that are asymptotic."""
    times = {"first_loss": ending.first_loss, "fixation": ending.fixation}
    said: dict[str, Any] = {
        name: time.value if time.exact == exact else None for name, time in times.items()
    }
    return {**said, "note": ending.first_loss.note or ending.fixation.note}


def _defined(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def print_heading(model: "Distribution", options: argparse.Namespace) -> None:
    """Print what is predicted, before it is known."""
    print(textwrap.fill(_description(model), WIDTH, subsequent_indent="  "))
    print(textwrap.fill(_process(options), WIDTH, subsequent_indent="  "))
    if model.num_contexts > 1:
        print(f"Each figure is the mean over {model.num_contexts:,} contexts.")
    sys.stdout.flush()


def print_prediction(found: "Prediction", model: "Distribution") -> None:
    """Print the table of generations, the law in force, the limit and the recovery temperature."""
    shown = _shown(found.generations)
    print()
    for line in _table(_columns(found, model, shown)):
        print(line)
    if len(shown) < found.generations.size:
        print(f"(of {found.generations.size:,} generations; --json and --output have all)")
    print()
    why = found.note.replace("`", "").partition(";")[0]
    _say("law", found.law or f"no closed form, the loop was run: {why}")
    _say("limit", _limit(found, model))
    _say("change", _change(found))
    _say("recovery", _recovery(found))
    if found.ending is not None:
        _say("loss", _mean_time(found.ending.first_loss, "until an outcome is lost", found))
        _say("fixation", _mean_time(found.ending.fixation, "until one is left", found))


def _columns(
    found: "Prediction", model: "Distribution", shown: Any
) -> list[tuple[str, str, list[str]]]:
    """The columns of the table: two lines of title, and the cells of the generations shown."""
    columns = [("generation", "", [f"{n:,}" for n in found.generations[shown]])]
    if found.modes is not None and found.modes.ndim == 1:
        columns.append(("mode", "", [_name(model, int(m)) for m in found.modes[shown]]))
    for name, title, unit in (
        ("mode_probability", "mode prob.", ""),
        ("entropy", "entropy", "nats"),
        ("effective_number", "effective", "number"),
        ("surviving", "surviving", "outcomes"),
        ("kl_from_start", "KL from", "gen. 0"),
        ("recovery_temperature", "recovery", "temperature"),
    ):
        means, errors = found.mean(name)
        errors = None if errors is None else errors[shown]
        columns.append((title, unit, _column(means[shown], errors)))
    recovered, of = found.recovered()
    if (recovered[shown] < of).any() and of > 1:
        columns.append(("had by", f"of {of:,}", [f"{k:,}" for k in recovered[shown]]))
    return columns


def _description(model: "Distribution") -> str:
    plural = "" if model.num_outcomes == 1 else "s"
    text = f"{model.source}: {model.num_outcomes:,} outcome{plural}"
    if model.num_contexts > 1:
        shape = " x ".join(f"{size:,}" for size in model.logits.shape[:-1])
        text += f" in {shape} contexts"
    if model.counts is not None and model.counts.dtype.kind == "i":
        text += f", {model.counts.sum():,} counted"
    return text


def _process(options: argparse.Namespace) -> str:
    draws = [f"draw at temperature {options.temperature:g}"]
    draws += [f"top-k {options.top_k}"] if options.top_k is not None else []
    draws += [f"top-p {options.top_p:g}"] if options.top_p is not None else []
    draws += [f"min-p {options.min_p:g}"] if options.min_p is not None else []
    if options.samples is None:
        return f"Each generation: {', '.join(draws)}; full refit to the exact distribution."
    runs, seed = _replicates(options), f"(seed {options.seed or 0})"
    samples = f"{options.samples:,} sample" + "s" * (options.samples != 1)
    what = f"One run {seed}, which chance decides: --replicates 100 gives means."
    if runs > 1:
        what = f"Means of {runs:,} runs {seed}, with the standard error of the last digits."
    return f"Each generation: {', '.join(draws)}; full refit to {samples}. {what}"


def _shown(generations: Any) -> Any:
    """Indices of the rows to print: all, or those of the series 1, 2, 5, 10, ... and the last."""
    import numpy as np

    if generations.size <= SHOWN_GENERATIONS + 1:
        return np.arange(generations.size)
    series = {m * 10**e for e in range(20) for m in (1, 2, 5)} | {0, int(generations[-1])}
    return np.flatnonzero([int(n) in series for n in generations])


def _name(model: "Distribution", index: int) -> str:
    """How an outcome is called on the screen."""
    if model.outcomes is None:
        return f"#{index}"
    label = model.outcomes[index]
    if len(label) == 1 or not label.isprintable() or label != label.strip():
        label = repr(label)
    return label if len(label) <= 14 else f"{label[:13]}…"


def _column(means: Any, errors: Any) -> list[str]:
    """A column of numbers with the same decimals, each with its standard error if it has one."""
    if errors is not None and any(e > 1e-12 * abs(m) for m, e in zip(means, errors, strict=True)):
        return _with_errors(means, errors)
    largest = max((abs(m) for m in means if math.isfinite(m)), default=0.0)
    if all(m == round(m) for m in means if math.isfinite(m)):
        return [_figure(m, 0) for m in means]
    return [_figure(m, _decimals(largest)) for m in means]


def _with_errors(means: Any, errors: Any) -> list[str]:
    """Means(standard errors), point below point: two digits of the largest error are shown."""
    largest = max(e for e in errors if math.isfinite(e))
    decimals = max(0, 1 - math.floor(math.log10(largest)))
    if decimals > MOST_DECIMALS:
        return [_figure(m) for m in means]
    shown = [
        f"({e * 10**decimals:,.0f})" if math.isfinite(e) and e > 1e-12 * abs(m) else ""
        for m, e in zip(means, errors, strict=True)
    ]
    width = max(map(len, shown))
    return [
        f"{m:,.{decimals}f}{error:<{width}}" if math.isfinite(m) else f"–{'':{width}}"
        for m, error in zip(means, shown, strict=True)
    ]


def _decimals(largest: float) -> int:
    """How many decimals give a number five significant digits; at least one, at most five."""
    return min(5, max(1, 4 - math.floor(math.log10(largest)))) if largest > 0 else 0


def _figure(value: float, decimals: int | None = None) -> str:
    """A number with its decimals, scientific where they would hide it; – where undefined."""
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    if decimals is None:
        decimals = 0 if value == round(value) else _decimals(abs(value))
    if abs(value) >= 1e9 or (decimals and abs(value) < 10.0 ** (1 - decimals)):
        return f"{value:.2e}"
    return f"{value:,.{decimals}f}"


def _table(columns: Sequence[tuple[str, str, list[str]]]) -> Iterator[str]:
    """Two lines of header and the rows, right-aligned."""
    widths = [max(len(title), len(unit), *map(len, cells)) for title, unit, cells in columns]
    rows = zip(*(cells for _, _, cells in columns), strict=True)
    for row in (*zip(*((title, unit) for title, unit, _ in columns), strict=True), *rows):
        line = "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        if line.strip():
            yield line.rstrip()


def _say(what: str, text: str) -> None:
    print(textwrap.fill(text, WIDTH, initial_indent=f"{what:<10}", subsequent_indent=" " * 10))


def _limit(found: "Prediction", model: "Distribution") -> str:
    if found.limit is None:
        return f"not known in closed form, and not reached by generation {found.generations[-1]:,}"
    text = found.limit.statement
    if text == "the mode alone" and found.modes is not None and found.modes.ndim == 1:
        text = f"the mode alone, {_name(model, int(found.modes[0]))}"
    figures = found.limit.figures
    return (
        f"{text} (entropy {_figure(figures['entropy'])}, "
        f"effective number {_figure(figures['effective_number'])})"
    )


def _mean_time(time: "MeanTime", until: str, found: "Prediction") -> str:
    """A mean time that theory knows, which stands among simulated figures."""
    if time.value is None:
        return f"mean time {until}: not known exactly ({time.note})"
    over = " over the contexts" if found.figures["entropy"].ndim > 2 else ""
    digits, how = (6, "exact") if time.exact else (3, "asymptotic in the number of samples")
    text = f"{time.value:,.{digits}g}"
    if time.value >= 1e6:
        text = f"{time.value:.{digits - (not time.exact)}e}"
    elif not time.exact:
        text = f"{float(text.replace(',', '')):,.6g}"
    unit = "generation" if text == "1" else "generations"
    about = "" if time.exact else "about "
    return f"{about}{text} {unit} on average{over} {until}: {how}; the table is simulated"


def _change(found: "Prediction") -> str:
    """The divergence of the last generation, and the three parts it is the sum of."""
    from fixedpoint.prediction import PARTS

    means = {name: float(found.mean(name)[0][-1]) for name in ("kl_from_start", *PARTS)}
    # What is nothing but rounding, beside the whole, is nothing.
    whole = means["kl_from_start"]
    shown = [_figure(0.0 if m < 1e-9 * whole else m, 4) for m in means.values()]
    lost, temperature, rest = shown[1:]
    return (
        f"{shown[0]} nats from generation 0 to {found.generations[-1]:,}: lost modes {lost}, "
        f"temperature {temperature}, rest {rest}"
    )


def _recovery(found: "Prediction") -> str:
    last = f"{found.generations[-1]:,}"
    means, errors = found.mean("recovery_temperature")
    recovered, of = found.recovered()
    value, having = float(means[-1]), int(recovered[-1])
    what = "runs and contexts" if found.figures["entropy"].ndim > 2 else "runs"
    what = what if found.sampled else "contexts"
    if having == 0:
        each = f" in any of {of:,} {what}" if of > 1 else ""
        return f"none: no finite temperature brings generation 0 back from generation {last}{each}"
    if found.law is not None and not found.sampled:
        how = "restores generation 0 exactly"
    else:
        how = "restores what a temperature can: not lost outcomes, nor other changes of shape"
    at = f"{value:.6g}" if errors is None else _column(means[-1:], errors[-1:])[0].strip()
    if having < of:
        at += f" (mean of {having:,} of {of:,} {what}; the others have none)"
    elif found.sampled and of > 1:
        at += f" (mean of {of:,} {what})"
    return f"sampling generation {last} at temperature {at} {how}"


def _draw(
    file: io.BytesIO,
    suffix: str,
    found: "Prediction",
    options: argparse.Namespace,
    model: "Distribution",
) -> None:
    """Draw the change from generation 0 in its three parts, and the entropy, by generation."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from fixedpoint.prediction import EVERY_GENERATION

    style: dict[Any, Any] = {"svg.hashsalt": "fixedpoint", "font.size": 9, "axes.spines.top": False}
    with (
        mpl.rc_context({**style, "axes.spines.right": False, "legend.frameon": False}),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "Glyph")  # a name in letters that the font lacks
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        change, entropy = figure.subplots(1, 2)
        _draw_change(change, found)
        _draw_entropy(entropy, found)
        for axes in (change, entropy):
            if found.generations[-1] > EVERY_GENERATION:
                axes.set_xscale("symlog")
            else:
                axes.locator_params(axis="x", integer=True)
            axes.set_xlim(0, max(1, found.generations[-1]))
            axes.set_ylim(bottom=0)
            axes.set_xlabel("generation")
        figure.legend(*change.get_legend_handles_labels(), loc="outside lower left", ncols=3)
        title = f"{_description(model)}\n{_process(options)}".encode(errors="replace").decode()
        figure.suptitle(title, fontsize=8, x=0.01, ha="left", parse_math=False)
        dates = {"pdf": ("CreationDate", "ModDate", "Producer", "Creator"), "svg": ("Date",)}
        metadata: Any = dict.fromkeys(dates.get(suffix, ()))
        if suffix == "png":
            metadata = {"Software": None}
        figure.savefig(file, format=suffix, metadata=metadata, dpi=200)


def _draw_change(axes: Any, found: "Prediction") -> None:
    """The divergence from generation 0 as the area of its three parts."""
    from fixedpoint.prediction import PARTS

    # Rounding may leave a part just below 0.
    parts = [found.mean(name)[0].clip(min=0) for name in PARTS]
    names = ("lost modes: undone by nothing", "temperature: undone by another", "the rest")
    axes.stackplot(
        found.generations, parts, labels=names, colors=PART_COLOURS, linewidth=0, alpha=0.9
    )
    whole, errors = found.mean("kl_from_start")
    axes.plot(found.generations, whole, color="0.2", linewidth=1)
    if errors is not None:
        axes.errorbar(found.generations, whole, errors, color="0.2", linewidth=0, elinewidth=0.8)
    axes.set_title("divergence from generation 0 (nats)", fontsize=9, loc="left")
    if not whole.max() > 0:
        axes.set_ylim(0, 1)


def _draw_entropy(axes: Any, found: "Prediction") -> None:
    """The entropy, with its limit; of samples, the mean with its standard error."""
    means, errors = found.mean("entropy")
    marker = "o" if found.generations.size <= SHOWN_GENERATIONS else None
    axes.plot(found.generations, means, marker=marker, markersize=3, color="0.2", clip_on=False)
    if errors is not None:
        axes.fill_between(
            found.generations, means - errors, means + errors, color="0.2", alpha=0.3, linewidth=0
        )
    if found.limit is not None:
        limit = found.limit.figures["entropy"]
        axes.axhline(limit, color="0.5", linestyle="--", linewidth=1, clip_on=False)
        axes.annotate(
            f"limit {_figure(limit)}",
            (1, limit),
            (0, 3),
            ("axes fraction", "data"),
            "offset points",
            color="0.4",
            ha="right",
        )
    axes.set_title("entropy (nats)", fontsize=9, loc="left")
    if not means.max() > 0:
        axes.set_ylim(0, 1)


def reproduce(options: argparse.Namespace) -> int:
    """Verify every law; in a checkout also run the notebooks, draw the figures, build the paper."""
    from fixedpoint.reproduction import reproduce

    return reproduce()


if __name__ == "__main__":
    sys.exit(main())
