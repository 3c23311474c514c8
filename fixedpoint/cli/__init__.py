"""The command `fixedpoint`: laws, show, verify, cite, predict, reproduce.

Every complaint about the input is one line on the error stream that names the argument, the rule
and the value, and the exit status is then 2; a failed verification or reproduction exits with 1.
"""

import argparse
import contextlib
import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fixedpoint.cli import predict, theory
from fixedpoint.cli.complaints import (
    WIDTH,
    ComputationError,
    InputError,
    Parser,
    got,
    number,
    whole,
)

VERBS = ("laws", "show", "verify", "cite", "predict", "reproduce")


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
        raise InputError(f"`VERB` must be one of {', '.join(VERBS)}; {got(arguments[0], VERBS)}")
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

    part = verb("laws", "list the laws with the verdicts of their last verification", theory.laws)
    part.add_argument("--json", action="store_true", help="print a JSON list instead of a table")

    part = verb(
        "show", "print one law on one page: claim, loop, proof, solution, verdict", theory.show
    )
    part.add_argument("label", metavar="LABEL", help="a registered equation: tempering.logits")

    part = verb(
        "verify", "make the three comparisons of each law: exit 1 if one fails", theory.verify
    )
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

    part = verb(
        "cite", "print BibTeX: the software, and the articles behind the laws used", theory.cite
    )
    part.add_argument(
        "labels", nargs="*", metavar="LABEL", help="tempering.logits, or tempering for all of a law"
    )

    does = "say what becomes of a model over generations"
    part = verb("predict", does, predict.predict, predict.HELP)
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
            raise InputError(f"`{option}` is no option of {of}; {got(option, near, word)}")


def _introduce(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    if options.version:
        import fixedpoint

        print(f"fixedpoint {fixedpoint.__version__}")
    else:
        parser.print_help()
    return 0


def reproduce(options: argparse.Namespace) -> int:
    """Verify every law; in a checkout also run the notebooks, draw the figures, build the paper."""
    from fixedpoint.reproduction import reproduce

    return reproduce()
