"""The command: what it prints, what it stores, and how it refuses."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from fixedpoint import cli, confront, reproduction
from fixedpoint.cli import report, theory
from fixedpoint.ending import MeanTime
from fixedpoint.inputs import read_logits
from fixedpoint.prediction import FIGURES, Prediction
from fixedpoint.verdict import Comparison, Verdict, store

ENDING = ["--temperature", "0.5", "--generations", "2"]

SAMPLED = [*ENDING, "--samples", "7", "--replicates", "5", "--seed", "3"]
"""One program for all tests: its compilation is what takes long."""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Work in a folder of one's own, and keep the record of verdicts there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "coin.csv").write_text("outcome,count\nheads,3\ntails,1\n")
    np.save(tmp_path / "table.npy", np.log([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]))
    return tmp_path


@pytest.fixture
def call(capsys):
    """Run the command in this process: exit status, output, error output."""

    def call(*arguments):
        status = cli.main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return SimpleNamespace(status=status, out=printed.out, err=printed.err)

    return call


def rows(text):
    """The rows of a printed table of generations, as lists of cells."""
    return [line.split() for line in text.splitlines() if re.match(r" +[\d,]+ +\S", line)]


class TestPredict:
    def test_two_outcomes_by_hand(self, call):
        answer = call("predict", "coin.csv", *ENDING)
        assert answer.status == 0
        assert answer.err == ""
        # Odds 3 : 1, 9 : 1, 81 : 1.
        assert [row[:3] for row in rows(answer.out)] == [
            ["0", "heads", "0.75000"],
            ["1", "heads", "0.90000"],
            ["2", "heads", "0.98780"],
        ]
        assert [row[-1] for row in rows(answer.out)] == ["1", "2", "4"]
        assert "law       tempering.logits" in answer.out
        assert "limit     the mode alone, heads (entropy 0, effective number 1)" in answer.out
        assert "generation 2 at temperature 4 restores generation 0 exactly" in answer.out
        assert re.search(r"change .* lost modes 0, temperature (\S+), rest 0$", answer.out, re.M)

    @pytest.mark.parametrize(
        "extra",
        [(), pytest.param(("--samples", "7", "--replicates", "5"), marks=pytest.mark.long)],
    )
    def test_output_fits_the_screen(self, call, extra):
        answer = call("predict", "coin.csv", *ENDING, *extra)
        assert max(map(len, answer.out.splitlines())) <= cli.WIDTH

    def test_json(self, call):
        answer = call("predict", "coin.csv", *ENDING, "--json")
        found = json.loads(answer.out)
        assert set(found) >= {"law", "limit", "generations"}
        assert found["law"] == "tempering.logits"
        assert found["limit"]["statement"] == "the mode alone"
        assert [row["generation"] for row in found["generations"]] == [0, 1, 2]
        for row in found["generations"]:
            assert set(row) == {"generation", "mode", *FIGURES}
        last = found["generations"][2]
        assert last["mode"] == "heads"
        assert last["mode_probability"] == pytest.approx(81 / 82, rel=1e-12)
        assert last["recovery_temperature"] == 4
        assert last["surviving"] == 2

    def test_json_with_samples_has_standard_errors(self, call):
        arguments = [*SAMPLED, "--json"]
        found = json.loads(call("predict", "coin.csv", *arguments).out)
        assert found["law"] is None
        assert "Fresh" in found["note"]
        assert "one outcome alone" in found["limit"]["statement"]
        for row in found["generations"]:
            errors = {f"{name}_se" for name in FIGURES}
            assert set(row) == {"generation", "recovered", *FIGURES, *errors}
        assert found["generations"][0]["entropy_se"] == 0
        assert found["generations"][1]["entropy_se"] > 0
        assert found["simulated"]
        exact = found["exact_mean_times"]
        assert exact["first_loss"] == exact["fixation"] > 1
        assert json.loads(call("predict", "coin.csv", *arguments).out) == found
        text = call("predict", "coin.csv", *arguments[:-1]).out
        assert f"{exact['fixation']:.6g} generations on average until one is left: exact" in text

    def test_samples_are_printed_with_their_errors_below_each_other(self, call):
        printed = call("predict", "coin.csv", *SAMPLED).out
        lines = [line for line in printed.splitlines() if re.match(r" +[012]  ", line)]
        signs = [[m.start() for m in re.finditer(r"\(", line)] for line in lines]
        assert len(lines) == 3
        assert signs[0] == []
        assert len(signs[1]) >= 4
        assert set(signs[2]) <= set(signs[1])
        assert not any(line != line.rstrip() for line in printed.splitlines())

    def test_runs_without_a_recovery_temperature_are_counted(self, call):
        found = json.loads(call("predict", "coin.csv", *SAMPLED, "--json").out)["generations"]
        counts = [row["recovered"] for row in found]
        assert counts[0] == 5
        assert 0 < counts[1] < 5  # some have one outcome left
        for row in found[1:]:
            # A run with a temperature has both outcomes, one without it one.
            assert row["surviving"] == pytest.approx(1 + row["recovered"] / 5)
        printed = call("predict", "coin.csv", *SAMPLED).out
        assert [row[-1] for row in rows(printed)[:3]] == [str(count) for count in counts]
        if counts[2] == 0:
            assert re.search(r"recovery +none: no finite temperature .* any of 5 runs", printed)
        else:
            assert f"(mean of {counts[2]} of 5 runs; the others have" in printed

    def test_of_one_run_there_are_no_means(self, capsys):
        options = cli.parse(["predict", "coin.csv", *ENDING, "--samples", "4", "--replicates", "1"])
        said = report.process(options)
        assert "One run (seed 0)" in said
        assert "Means" not in said

    def test_mean_times_say_what_they_are(self):
        found = Prediction(None, "", None, np.array([0]), {"entropy": np.zeros((1, 5))}, None, None)
        for time, said in (
            (MeanTime(1.0), "1 generation on average until it ends: exact"),
            (MeanTime(3370.9912), "3,370.99 generations on average until it ends: exact"),
            (MeanTime(3370.9912, exact=False), "about 3,370 generations .* asymptotic"),
            (MeanTime(2.5e9, exact=False), r"about 2.50e\+09 generations"),
            (MeanTime(None, note="why"), r"not known exactly \(why\)"),
        ):
            assert re.search(said, report.mean_time(time, "until it ends", found))

    def test_the_heading_and_the_cost_come_beforehand(self, call, monkeypatch):
        def stop(*arguments, **options):
            raise KeyboardInterrupt

        monkeypatch.setattr("fixedpoint.prediction.predict", stop)
        # At temperature 2 both outcomes last.
        long = ["--samples", "1e6", "--replicates", "1000", "--generations", "5e7"]
        answer = call("predict", "coin.csv", *ENDING, *long, "--temperature", "2")
        assert answer.status == 130
        assert answer.out.startswith("coin.csv: 2 outcomes, 4 counted\nEach generation: draw at")
        assert re.match(r"fixedpoint predict: this takes about \d hours\n", answer.err)

    @pytest.mark.parametrize("zero", ["-0", "-0.0", "0e5"])
    def test_minus_zero_is_zero(self, call, zero):
        answer = call("predict", "coin.csv", "--temperature", zero, "--generations", "1e0")
        assert answer.status == 0
        assert [row[2] for row in rows(answer.out)] == ["0.7500", "1.0000"]

    def test_probabilities_without_their_option_are_doubted(self, call, place):
        np.save(place / "p.npy", np.array([0.5, 0.3, 0.2]))
        answer = call("predict", "p.npy", *ENDING)
        assert answer.status == 0
        assert re.fullmatch(
            r"fixedpoint predict: warning: p.npy: taken as logits, but .*--probabilities.*\n",
            answer.err,
        )
        assert call("predict", "p.npy", "--probabilities", *ENDING).err == ""

    def test_what_overflows_is_said_in_one_line(self, call, monkeypatch):
        def fail(*arguments, **options):
            raise FloatingPointError("the figures are\n not numbers")

        monkeypatch.setattr("fixedpoint.prediction.predict", fail)
        answer = call("predict", "coin.csv", *ENDING, "--json")
        assert answer.status == 1
        assert answer.err == "fixedpoint predict: the figures are not numbers\n"

    def test_several_contexts_give_means(self, call):
        answer = call("predict", "table.npy", *ENDING)
        assert "Each figure is the mean over 2 contexts." in answer.out
        p = (0.5 + 0.8) / 2, (0.25 / 0.38 + 0.64 / 0.66) / 2
        assert [row[1] for row in rows(answer.out)][:2] == [f"{value:.5f}" for value in p]
        found = json.loads(call("predict", "table.npy", *ENDING, "--json").out)
        assert found["contexts"] == 2
        assert found["generations"][1]["mode_probability"] == pytest.approx(p[1], rel=1e-12)

    @pytest.mark.long
    def test_truncation(self, call):
        answer = call("predict", "table.npy", *ENDING, "--top-k", 2, "--top-p", 1, "--min-p", 0)
        assert "draw at temperature 0.5, top-k 2, top-p 1, min-p 0" in answer.out
        assert "TopK truncates" in answer.out
        assert [row[4] for row in rows(answer.out)] == ["3", "2", "2"]

    def test_text_names_characters_that_cannot_be_seen(self, call, place):
        (place / "x.txt").write_text("\n\n\nab")
        assert r"'\n'" in call("predict", "text:x.txt", *ENDING).out
        assert " the " in call("predict", f"words:{_text(place)}", *ENDING).out

    def test_no_recovery_is_said(self, call):
        answer = call("predict", "coin.csv", "--temperature", 0, "--generations", 1)
        assert rows(answer.out)[1][-1] == "–"
        assert "recovery  none" in answer.out
        found = call("predict", "coin.csv", "--temperature", 0, "--generations", 1, "--json")
        assert json.loads(found.out)["generations"][1]["recovery_temperature"] is None

    def test_hot_and_lost(self, call, place):
        np.save(place / "lost.npy", np.array([0.0, 1.0, -np.inf]))
        answer = call("predict", "lost.npy", "--temperature", "inf", "--generations", 1)
        assert [row[1] for row in rows(answer.out)] == ["#1", "#0"]
        assert "uniform on the 2 outcomes" in answer.out

    @pytest.mark.long
    def test_many_generations_are_thinned_out_on_the_screen_only(self, call):
        ending = ["--temperature", 0.9, "--generations"]
        answer = call("predict", "coin.csv", *ending, 300)
        assert [row[0] for row in rows(answer.out)] == [
            str(n) for n in (0, 1, 2, 5, 10, 20, 50, 100, 200, 300)
        ]
        found = json.loads(call("predict", "coin.csv", *ending, 300, "--json").out)
        assert len(found["generations"]) == 301
        assert rows(call("predict", "coin.csv", *ending, 10**6).out)[-1][0] == "1,000,000"

    def test_output_can_be_read_again(self, call, place):
        assert call("predict", "coin.csv", *ENDING, "--output", "out.npz").status == 0
        with np.load(place / "out.npz") as stored:
            np.testing.assert_array_equal(stored["generation"], [0, 1, 2])
            np.testing.assert_allclose(stored["mode_probability"], [3 / 4, 9 / 10, 81 / 82])
            assert set(stored) == {"generation", "mode", "logits", "outcomes", *FIGURES}
        again = read_logits(place / "out.npz")
        assert again.outcomes == ("heads", "tails")
        assert np.ptp(again.logits) == pytest.approx(4 * np.log(3))
        assert sorted(path.name for path in place.iterdir() if path.name.startswith(".")) == []

    @pytest.mark.parametrize("suffix", ["pdf", "png", "svg"])
    def test_plots_are_the_same_bytes_each_time(self, call, place, suffix):
        written = []
        for name in ("one", "two"):
            answer = call("predict", "coin.csv", *ENDING, "--plot", f"{name}.{suffix}")
            assert answer.status == 0, answer.err
            written.append((place / f"{name}.{suffix}").read_bytes())
        assert written[0] == written[1]
        assert len(written[0]) > 5_000

    def test_names_that_no_font_has(self, call, place):
        """Other letters, a line break, a byte that is no text: in the title, not in the way."""
        source = os.fsdecode("小説\n$x$".encode() + b"\xff.csv")
        (place / source).write_bytes((place / "coin.csv").read_bytes())
        answer = call("predict", source, *ENDING, "--plot", "x.svg", "--output", "x.npz")
        assert (answer.status, answer.err) == (0, "")
        assert (place / "x.svg").stat().st_size > 5_000

    def test_a_zero_character_keeps_its_label(self, call, place):
        (place / "x.txt").write_text("a\0\0")
        assert call("predict", "text:x.txt", *ENDING, "--output", "x.npz").status == 0
        assert read_logits(place / "x.npz").outcomes == ("␀", "a")

    def test_a_failed_write_leaves_nothing(self, call, place, monkeypatch):
        (place / "old.npz").write_bytes(b"old")

        def full(self, data):
            raise OSError(28, "No space left on device", str(self))

        monkeypatch.setattr("pathlib.Path.write_bytes", full)
        answer = call("predict", "coin.csv", *ENDING, "--output", "old.npz")
        assert answer.status == 2
        assert "No space left" in answer.err
        assert (place / "old.npz").read_bytes() == b"old"
        assert not list(place.glob(".*"))


def _text(place):
    (place / "words.txt").write_text("The cat and the dog.")
    return "words.txt"


COIN = ["predict", "coin.csv", *ENDING]
BAD = {
    "unknown verb": (["predct"], "`VERB` must be one of .* got 'predct'. Did you mean 'predict'?"),
    "unknown option": ([*COIN, "--topk", "3"], "no option of predict; .* Did you mean '--top-k'?"),
    "shortened": (["predict", "coin.csv", "--temp=1"], "Did you mean '--temperature'?"),
    "plain text": (["predict", "a.txt", *ENDING], "For a text: words:a.txt or text:a.txt"),
    "short option": ([*COIN, "-T", "1"], "`-T` is no option of predict"),
    "of no verb": (["--jsn"], "`--jsn` is no option of fixedpoint"),
    "of laws": (["laws", "-q"], "`-q` is no option of laws"),
    "misspelt": (["predict", "coin.csv", "--temprature", "1"], "Did you mean '--temperature'?"),
    "surplus": ([*COIN, "b.csv"], "`b.csv` is one argument too many; usage: fixedpoint predict"),
    "standard input": (["predict", "-", *ENDING], "For a text: words:- or text:-"),
    "span": (["predict", "span.npy", *ENDING], "`INPUT` span.npy: logits must be within 1e"),
    "contexts": (["predict", "many.npy", *ENDING, "--generations", "1000"], "have .* figures"),
    "a day": (
        [*COIN, "--samples", "9", "--temperature", "2", "--generations", "1e14"],
        "less than a day; .* years",
    ),
    "a week": ([*COIN, "--top-k", "1", "--generations", "1e10"], "would take about . days"),
    "no input": (["predict"], "arguments are required: INPUT, --temperature, --generations"),
    "missing file": (["predict", "none.npy", *ENDING], "`INPUT` none.npy: No such file"),
    "a folder": (["predict", "folder.npy", *ENDING], "`INPUT` folder.npy: Is a directory"),
    "strange file": (["predict", "x.json", *ENDING], r"`INPUT` must end in \.npy, .* 'x.json'"),
    "NaN": (["predict", "nan.npy", *ENDING], r"nan.npy: logits must not be NaN; got nan at \[1\]"),
    "negative": (["predict", "neg.csv", *ENDING], "neg.csv, line 2: the count must be .* '-3'"),
    "no sum": (["predict", "p.npy", "--probabilities", *ENDING], "must sum to 1 .*; got 0.9"),
    "empty": (["predict", "text:empty.txt", *ENDING], "corpus must not be empty; .* 0 characters"),
    "T < 0": ([*COIN, "--temperature", "-0.5"], "`--temperature` must be >= 0; got -0.5"),
    "T NaN": ([*COIN, "--temperature", "nan"], "`--temperature` must be >= 0; got nan"),
    "T = -1e-3": ([*COIN, "--temperature", "-1e-3"], "`--temperature` must be >= 0; got -0.001"),
    "T = -inf": ([*COIN, "--temperature", "-inf"], "`--temperature` must be >= 0; got -inf"),
    "T word": ([*COIN, "--temperature", "hot"], "`--temperature` must be a number; got 'hot'"),
    "N < 0": ([*COIN, "--generations", "-1"], "`--generations` must be an integer >= 0; got -1"),
    "N = 1.5": ([*COIN, "--generations", "1.5"], "`--generations` must be a whole .*'1.5'"),
    "N huge": ([*COIN, "--generations", "9" * 20], "`--generations` must be <= 1,000,000"),
    "N = 1,000": ([*COIN, "--generations", "1,000"], "without separators.; got '1,000'"),
    "N = 1e99": ([*COIN, "--generations", "1e999999999"], "`--generations` must be <= 1,000,000"),
    "top-k huge": ([*COIN, "--top-k", "1e30"], "`--top-k` must be <= 1,000,000"),
    "n = 0": ([*COIN, "--samples", "0"], "`--samples` must be an integer >= 1; got 0"),
    "n huge": ([*COIN, "--samples", "9" * 20], "`--samples` must be <= 1,000,000"),
    "R = 0": ([*COIN, "--samples", "5", "--replicates", "0"], "`--replicates` .* >= 1; got 0"),
    "R huge": ([*COIN, "--samples", "5", "--replicates", "9" * 9], "for 2 outcomes; got 999,999"),
    "R alone": ([*COIN, "--replicates", "5"], "`--replicates` must come with --samples; got 5"),
    "seed alone": ([*COIN, "--seed", "5"], "`--seed` must come with --samples; got 5"),
    "seed < 0": ([*COIN, "--samples", "5", "--seed", "-1"], "`--seed` .* >= 0; got -1"),
    "top-k": ([*COIN, "--top-k", "0"], "`--top-k` must be an integer >= 1; got 0"),
    "top-k bare": ([*COIN, "--top-k"], "`--top-k` expected one argument"),
    "top-p": ([*COIN, "--top-p", "1.2"], "`--top-p` must be > 0 and <= 1; got 1.2"),
    "top-p 0": ([*COIN, "--top-p", "0"], "`--top-p` must be > 0 and <= 1; got 0.0"),
    "min-p": ([*COIN, "--min-p", "-1"], "`--min-p` must be between 0 and 1; got -1.0"),
    "plot": ([*COIN, "--plot", "x.gif"], r"`--plot` must end in \.pdf or .* got 'x.gif'"),
    "output": ([*COIN, "--output", "x.npy"], r"`--output` must end in \.npz; got 'x.npy'"),
    "output folder": ([*COIN, "--output", "folder.npz"], "`--output` must be a file; 'folder.npz'"),
    "nowhere": ([*COIN, "--output", "a/b.npz"], "`--output` must be in an existing directory; a "),
    "label": (["verify", "tempering.logit"], "got 'tempering.logit'. Did you mean 'tempering.logi"),
    "cited": (["cite", "flow.potental"], "got 'flow.potental'. Did you mean 'geometry.potential'?"),
    "law": (["verify", "temperign"], "got 'temperign'. Did you mean 'tempering'?"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(call, place, case):
    np.save(place / "nan.npy", np.array([0.0, np.nan]))
    np.save(place / "p.npy", np.array([0.5, 0.4]))
    np.save(place / "span.npy", np.array([1e308, 0.0, -1e308]))
    np.save(place / "many.npy", np.zeros((300_000, 2), np.float16))
    (place / "neg.csv").write_text("a,1\nb,-3\n")
    (place / "empty.txt").touch()
    (place / "folder.npz").mkdir()
    (place / "folder.npy").mkdir()
    before = sorted(place.iterdir())
    arguments, complaint = BAD[case]
    answer = call(*arguments)
    assert answer.status == 2
    assert answer.out == ""
    assert re.fullmatch(r"fixedpoint( predict| verify| cite| laws)?: .*\n", answer.err)
    assert re.search(complaint, answer.err)
    assert sorted(place.iterdir()) == before


class TestLawsAndVerify:
    def test_verify_prints_and_records_the_three_comparisons(self, call):
        before = call("laws").out
        answer = call("verify", "tempering.composition")
        assert answer.status == 0, answer.out
        assert "tempering.composition" in answer.out
        for word in ("proved", "evaluated", "confronted", "rejects “"):
            assert f"✓ {word}" in answer.out
        assert "1 of 1 equations verified" in answer.out
        [line] = [x for x in call("laws").out.splitlines() if x.startswith("tempering.composition")]
        assert line.endswith("evaluated, confronted")
        assert line not in before

    def test_verify_json(self, call, monkeypatch):
        verdict = _verdict(
            "tempering.logits", details={"excess": np.inf, "orders": [np.float64(4)]}
        )
        monkeypatch.setattr(confront, "verify", lambda label: verdict)
        [found] = json.loads(call("verify", "tempering.logits", "--json").out)
        assert {"label", "kind", "statement", "passed", "mark"} < set(found)
        assert found["passed"] is True
        assert found["proved"]["status"] == "passed"
        assert found["confronted"]["details"] == {"excess": "inf", "orders": [4.0]}

    def test_a_failure_exits_with_1(self, call, monkeypatch):
        monkeypatch.setattr(confront, "verify", lambda label: _verdict(label, "failed"))
        answer = call("verify", "tempering.composition", "tempering.logits")
        assert answer.status == 1
        assert "✗ confronted" in answer.out
        assert "0 of 2 equations verified; FAILED: tempering.composition, tempering" in answer.out

    def test_a_law_stands_for_all_its_labels(self):
        labels = theory.selected(["tempering"])
        assert {"tempering.logits", "tempering.refit"} <= set(labels)
        assert all(label.startswith("tempering.") for label in labels)
        assert theory.selected(["tempering.refit", "tempering.refit"]) == ["tempering.refit"]
        assert set(labels) <= set(theory.selected([]))

    def test_laws_lists_every_equation(self, call):
        listed = json.loads(call("laws", "--json").out)
        assert [row["label"] for row in listed] == theory.selected([])
        assert {row["verdict"] for row in listed} == {"not verified yet"}
        printed = call("laws").out
        assert all(row["label"] in printed for row in listed)
        assert max(map(len, printed.splitlines())) <= cli.WIDTH

    def test_a_verdict_on_what_has_changed_since_is_not_shown(self, call):
        store([replace(_verdict("tempering.logits"), fingerprint="of what was")])
        listed = {row["label"]: row["verdict"] for row in json.loads(call("laws", "--json").out)}
        assert listed.pop("tempering.logits") == "?"
        assert set(listed.values()) == {"not verified yet"}
        printed = call("laws").out
        assert "?: verified once, but what was judged has changed since." in printed
        assert "equations, 0 of them verified" in printed


def _verdict(label, status="passed", details=None):
    fine = Comparison("passed", "all well")
    return Verdict(
        label,
        "exact",
        "It is so.",
        fine,
        fine,
        Comparison(status, "compared", details=details or {}),
    )


class TestReproduce:
    @pytest.fixture
    def project(self, place, monkeypatch):
        """A checkout in miniature, whose jobs leave traces, and quick verdicts."""
        scripts = {
            "notebooks/execute.py": "import sys; print('ok', sys.argv[1:])",
            "notebooks/one.py": "",
            "paper/figures/good.py": "import os; assert os.environ['JAX_ENABLE_X64'] == '1';"
            "assert os.path.isdir(os.environ['JAX_COMPILATION_CACHE_DIR'])",
            "paper/build.py": "print('skip paper/main.pdf: the PDF needs latexmk')",
            "paper/main.tex": "",
        }
        for name, content in scripts.items():
            path = place / "project" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        monkeypatch.setattr(reproduction, "checkout", lambda: place / "project")
        monkeypatch.setattr(
            reproduction,
            "verify_all",
            lambda labels, report, processes: [report(v := _verdict("tempering.logits")) or v],
        )
        return place / "project"

    def test_everything_succeeds(self, call, project):
        answer = call("reproduce")
        assert answer.status == 0, answer.out
        for job in ("notebooks/execute.py one", "paper/figures/good.py", "paper/build.py"):
            assert f"✓ {job}" in answer.out
        assert "skip paper/main.pdf: the PDF needs latexmk" in answer.out
        assert "1 of 1 equations verified; everything succeeded" in answer.out
        assert re.search(
            r"CPU seconds: laws \d+, notebooks \d+, figures \d+, paper \d+", answer.out
        )
        [job] = [line for line in answer.out.splitlines() if "✓ paper/figures/good.py" in line]
        assert re.search(r"\d\.\d s +\d+\.\d CPU s$", job)

    def test_processes_share_what_is_compiled_in_a_folder_of_the_run(self, monkeypatch):
        name = "JAX_COMPILATION_CACHE_DIR"
        monkeypatch.delenv(name, raising=False)
        before = dict(os.environ)
        with reproduction.compiled_once():
            folder = os.environ[name]
            assert os.path.isdir(folder)
        assert not os.path.exists(folder)
        assert dict(os.environ) == before
        monkeypatch.setenv(name, "elsewhere")
        with reproduction.compiled_once():
            assert os.environ[name] == "elsewhere"

    def test_what_a_job_costs_is_counted_with_its_own_processes(self, project):
        burn = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
        (project / "burn.py").write_text(burn)
        (project / "two.py").write_text(
            f"import subprocess, sys; subprocess.run([sys.executable, 'burn.py'])\n{burn}"
        )
        found = reproduction.run(project, "figures", ["two.py"])
        assert not found.failed
        assert found.processor_seconds > 0.6

    def test_a_failure_is_told_and_the_rest_goes_on(self, call, project):
        (project / "paper/figures/bad.py").write_text("raise ValueError('the claim is false')")
        answer = call("reproduce")
        assert answer.status == 1
        assert "✗ paper/figures/bad.py" in answer.out
        assert "✓ paper/build.py" in answer.out
        assert "FAILED paper/figures/bad.py: ValueError: the claim is false" in answer.out
        assert "1 failed" in answer.out

    def test_a_failed_law_fails_the_job(self, call, project, monkeypatch):
        monkeypatch.setattr(
            reproduction,
            "verify_all",
            lambda labels, report, processes: [_verdict("flow.tail", "failed")],
        )
        answer = call("reproduce")
        assert answer.status == 1
        assert "FAILED flow.tail" in answer.out

    def test_without_a_checkout_only_the_laws_are_verified(self, call, project, monkeypatch):
        monkeypatch.setattr(reproduction, "checkout", lambda: None)
        answer = call("reproduce")
        assert answer.status == 0
        assert "need a checkout" in answer.out
        assert "notebooks/execute.py" not in answer.out

    def test_this_is_a_checkout(self):
        root = reproduction.checkout()
        assert root is not None
        assert (root / "fixedpoint" / "__init__.py").is_file()


def test_help_and_version(call, capsys):
    assert "verbs:" in call().out
    assert re.fullmatch(r"fixedpoint \d+\.\d+\.\d+\n", call("--version").out)
    with pytest.raises(SystemExit) as leaving:
        cli.main(["predict", "--help"])
    assert leaving.value.code == 0
    assert "text:FILE" in capsys.readouterr().out


@pytest.mark.long
def test_a_reader_who_leaves_early_causes_no_traceback(place):
    code = (
        "import sys; from fixedpoint.cli import main;"
        "sys.exit(main(['predict', 'coin.csv', '--temperature', '1', '--generations', '900',"
        " '--json']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    errors = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait() == 0
    assert errors == ""


@pytest.mark.slow
def test_compiled_programs_are_kept_only_where_a_folder_is_named(place):
    command = [sys.executable, "-m", "fixedpoint.cli", "predict", "coin.csv", *ENDING]
    kept = place / "programs"
    environment = {k: v for k, v in os.environ.items() if "CACHE" not in k}
    for folder in ({}, {"FIXEDPOINT_CACHE": str(kept)}):
        assert not kept.exists()
        subprocess.run(command, env=environment | folder, check=True, capture_output=True)
    assert len(list(kept.iterdir())) > 3
