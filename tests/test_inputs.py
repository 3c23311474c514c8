"""Reading models from files, and counting text."""

import io
import unicodedata
import warnings

import ml_dtypes
import numpy as np
import pytest

from fixedpoint.inputs import (
    character_counts,
    next_character_counts,
    read_logits,
    word_counts,
)


@pytest.fixture
def write(tmp_path):
    """Write a file into the test's folder: text, an array, or several arrays by name."""

    def write(name, content, encoding="utf-8"):
        path = tmp_path / name
        if isinstance(content, str):
            path.write_text(content, encoding=encoding)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, dict):
            np.savez(path, **content)
        else:
            np.save(path, content)
        return path

    return write


class TestArrays:
    def test_logits_keep_their_shape_and_type(self, write):
        logits = np.array([[[0.5, -1.0, -np.inf]], [[3.0, 2.0, 1.0]]], dtype=np.float32)
        model = read_logits(write("x.npy", logits))
        assert model.logits.dtype == np.float32
        np.testing.assert_array_equal(model.logits, logits)
        assert (model.num_contexts, model.num_outcomes) == (2, 3)
        assert model.outcomes is None
        assert model.counts is None

    def test_integers_become_float64(self, write):
        model = read_logits(write("x.npy", np.array([3, -1])))
        assert model.logits.dtype == np.float64

    @pytest.mark.parametrize(
        ("stored", "read"),
        [(">f8", "f8"), (">f4", "f4"), (">f2", "f2"), ("g", "f8"), (">i4", "f8")],
    )
    def test_foreign_byte_orders_and_long_doubles(self, write, stored, read):
        model = read_logits(write("x.npy", np.array([3, -1, 2]).astype(stored)))
        assert model.logits.dtype == np.dtype(read)
        assert model.logits.dtype.isnative
        np.testing.assert_array_equal(model.logits, [3, -1, 2])

    def test_bfloat16_is_read(self, write):
        logits = np.array([[0.5, -1.0, -np.inf], [3.140625, -65280.0, 1e-3]], ml_dtypes.bfloat16)
        model = read_logits(write("x.npy", np.asfortranarray(logits)))
        assert model.logits.dtype == np.float32
        np.testing.assert_array_equal(model.logits, logits.astype(np.float32))
        # A thousand equal ones add up to 1.0004: as well as the type can.
        p = np.full(1000, 1e-3, ml_dtypes.bfloat16)
        assert read_logits(write("p.npy", p), probabilities=True).num_outcomes == 1000

    @pytest.mark.parametrize("labels", [[b"yes", "né".encode()], ["yes", "né"], [17, 4]])
    def test_labels_may_be_text_or_bytes_or_numbers(self, write, labels):
        arrays = {"logits": np.array([1.0, -2.0]), "outcomes": np.array(labels)}
        expected = ("17", "4") if labels[0] == 17 else ("yes", "né")
        assert read_logits(write("x.npz", arrays)).outcomes == expected

    @pytest.mark.parametrize(
        ("outcomes", "complaint"),
        [
            (np.array([b"yes", b"\xff"]), r"`outcomes` must be UTF-8 text; got b'.xff'"),
            (np.array([["a"], ["b"]]), r"`outcomes` must be a list; got shape \(2, 1\)"),
            (np.array([0.5, 1.5]), "`outcomes` must be text; got the type float64"),
            (np.array(["a", None]), "without pickled objects"),
        ],
    )
    def test_labels_never_vanish(self, write, outcomes, complaint):
        with pytest.raises(ValueError, match=complaint):
            read_logits(write("x.npz", {"logits": np.zeros(2), "outcomes": outcomes}))

    @pytest.mark.parametrize(
        ("content", "what"),
        [
            (np.array([0.5, 0.3, 0.2]), "probabilities"),
            (np.array([[0.5, 0.5], [0.0, 1.0]], np.float32), "probabilities"),
            (np.full(1000, 1e-3, ml_dtypes.bfloat16), "probabilities"),
            (np.array([1, 0, 0]), "probabilities"),
            (np.array([500, 30, 2]), "counts"),
        ],
    )
    def test_what_is_hardly_logits_is_said(self, write, content, what):
        path = write("x.npy", content)
        with pytest.warns(UserWarning, match=f"taken as logits, but .* like {what}"):
            read_logits(path)
        if what == "probabilities":
            with warnings.catch_warnings(action="error"):
                read_logits(path, probabilities=True)

    @pytest.mark.parametrize(
        "content",
        [
            np.array([0.5, 0.3, 0.3]),
            np.array([[0.5, 0.5], [0.0, 0.9]]),
            np.array([1.0]),
            np.array([0.5, -0.2, 0.7]),
            np.array([500, -30, 2]),
            np.array([500.0, 30.0]),
        ],
    )
    def test_logits_are_not_doubted(self, write, content):
        with warnings.catch_warnings(action="error"):
            read_logits(write("x.npy", content))

    def test_probabilities_become_logits_and_zero_is_lost(self, write):
        model = read_logits(write("x.npy", np.array([0.75, 0.25, 0.0])), probabilities=True)
        np.testing.assert_allclose(model.logits, [np.log(0.75), np.log(0.25), -np.inf])

    def test_half_precision_may_sum_to_one_as_well_as_it_can(self, write):
        p = np.full(1000, 1e-3, dtype=np.float16)
        assert read_logits(write("x.npy", p), probabilities=True).num_outcomes == 1000

    @pytest.mark.parametrize("name", ["theta", "logits"])
    def test_archive_of_one_array(self, write, name):
        model = read_logits(write("x.npz", {name: np.array([2.0, 0.0])}))
        np.testing.assert_array_equal(model.logits, [2.0, 0.0])

    def test_archive_names_the_model_and_its_outcomes(self, write):
        arrays = {
            "probabilities": np.array([0.9, 0.1]),
            "entropy": np.zeros(3),
            "outcomes": np.array(["yes", "no"]),
        }
        model = read_logits(write("x.npz", arrays))
        np.testing.assert_allclose(model.logits, np.log([0.9, 0.1]))
        assert model.outcomes == ("yes", "no")

    @pytest.mark.parametrize(
        ("content", "probabilities", "complaint"),
        [
            (np.array([0.0, np.nan]), False, r"must not be NaN; got nan at \[1\]"),
            (np.array([[0.0, 1.0], [np.inf, 0.0]]), False, r"must be < inf; got inf at \[1, 0\]"),
            (np.array([[0.0], [-np.inf]]), False, r"all 1 are -inf at \[1\]"),
            (np.array([0.5, 0.4]), True, r"must sum to 1 \(within 1e-06\); got 0.9\."),
            (np.array([[0.5, 0.5], [1.0, 1e-3]]), True, r"must sum to 1 .* got 1.001 at \[1\]"),
            (np.array([1.5, -0.5]), True, r"between 0 and 1; got 1.5 at \[0\]"),
            (np.array([1.0, -1e-9]), True, r"between 0 and 1; got -1e-09 at \[1\]"),
            (np.array([np.nan, 1.0]), True, r"between 0 and 1; got nan at \[0\]"),
            (np.array(3.0), False, r"shape \(\.\.\., outcomes\), not empty; got \(\)"),
            (np.zeros((2, 0)), False, r"not empty; got \(2, 0\)"),
            (np.array([1j]), False, "real numbers; got the type complex128"),
            (np.array([True]), False, "real numbers; got the type bool"),
            (np.array(["a"]), False, "real numbers; got the type <U1"),
            (np.array([1e308, 0, -1e308]), False, r"within 1e\+290 .*; got 0.0 at \[1\]"),
            (np.array([0, -np.longdouble("1e400")]), False, r"within ±1.8e308; got -1e\+400"),
            (np.array([2**53 + 1, 0]), False, "whole numbers must be within"),
            (np.array([(1.0, 2)], dtype="f8,i4"), False, "must hold real numbers"),
            (
                np.zeros(2, ml_dtypes.float8_e5m2),
                False,
                r"whole NumPy file .*<f1'. Store .*float32",
            ),
            (np.array([{}], dtype=object), False, "without pickled objects"),
            (b"nonsense", False, "must be a NumPy file; it begins with b'nonsen'"),
            (b"", False, "must be a NumPy file; it is empty"),
            (b"\x93NUMPY cut", False, "must be a whole NumPy file"),
        ],
    )
    def test_what_is_no_model_is_refused(self, write, content, probabilities, complaint):
        with pytest.raises(ValueError, match=complaint):
            read_logits(write("x.npy", content), probabilities)

    @pytest.mark.parametrize(
        "content",
        [
            {"a": np.zeros(2), "b": np.zeros(2)},
            {"logits": np.zeros(2), "probabilities": np.array([0.5, 0.5])},
        ],
    )
    def test_an_ambiguous_archive_is_refused(self, write, content):
        with pytest.raises(ValueError, match=f"got {', '.join(content)}"):
            read_logits(write("x.npz", content))

    def test_outcomes_must_label_all(self, write):
        with pytest.raises(ValueError, match="label all 2 outcomes; got 1"):
            read_logits(write("x.npz", {"logits": np.zeros(2), "outcomes": np.array(["a"])}))

    def test_broken_archive(self, write):
        with pytest.raises(ValueError, match="must be a whole NumPy file"):
            read_logits(write("x.npz", b"PK\x03\x04 cut off"))

    def test_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            read_logits(tmp_path / "none.npy")

    def test_unknown_suffix(self, write):
        with pytest.raises(ValueError, match=r"must end in \.npy, \.npz, \.csv or \.tsv.*x\.json"):
            read_logits(write("x.json", "{}"))


class TestCsv:
    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("x.csv", "heads;3\ntails;1\n"),
            ("x.csv", "heads\t3\r\ntails\t1\r\n"),
            ("x.tsv", "heads\t3\ntails\t1\n"),
            ("x.csv", "  heads   3 \n\ntails 1\n"),
            ("x.csv", "sep=,\nheads,3\ntails,1\n"),
            ("x.csv", "SEP=;\r\noutcome;count\r\nheads;3\r\ntails;1"),
            ("x.csv", "sep=|\nheads|3\ntails|1\n"),
            ("x.csv", "\noutcome,count_2023\nheads,3\ntails,1\n"),
            ("x.csv", "# outcome, # of 10\nheads, 3e0\ntails, 1.0\n"),
            ("x.csv", "outcome;Anzahl\nheads;3\ntails;1\n"),
        ],
    )
    def test_tables_as_the_world_has_them(self, write, name, content):
        model = read_logits(write(name, content.encode()))
        assert model.outcomes == ("heads", "tails")
        assert model.counts is not None
        assert model.counts.tolist() == [3, 1]

    def test_a_separator_may_be_an_outcome(self, write):
        model = read_logits(write("x.csv", '";",3\n",",2\n"\t",4\n" ",1\n"\r",1\n"\n",1\n"""",1\n'))
        assert model.outcomes == (";", ",", "\t", " ", "\r", "\n", '"')
        model = read_logits(write("x.csv", ";,3\na b,2\nc;d,4\n"))
        assert model.outcomes == (";", "a b", "c;d")

    def test_counts_beyond_the_range(self, write):
        model = read_logits(write("x.csv", "a,1e308\nb,1e308\nc,1e308\nd,1e-300\ne,0\n"))
        third = -np.log(3)
        tiny = -608 * np.log(10) + third
        np.testing.assert_allclose(model.logits, [third, third, third, tiny, -np.inf], rtol=1e-14)

    @pytest.mark.parametrize("header", ["outcome,count\n", "", "\n"])
    def test_counts(self, write, header):
        model = read_logits(write("x.csv", f"{header}heads,3\n\ntails,1\nedge,0\n"))
        assert model.outcomes == ("heads", "tails", "edge")
        assert model.counts is not None
        assert model.counts.dtype == np.int64
        np.testing.assert_array_equal(model.counts, [3, 1, 0])
        np.testing.assert_allclose(np.exp(model.logits), [0.75, 0.25, 0.0])

    def test_quoted_outcomes_and_weights(self, write):
        model = read_logits(write("x.csv", '"a,b",1.5\n"line\nend",0.5\n', "utf-8-sig"))
        assert model.outcomes == ("a,b", "line\nend")
        np.testing.assert_allclose(np.exp(model.logits), [0.75, 0.25])

    def test_probabilities(self, write):
        model = read_logits(write("x.csv", "a,0.75\nb,0.25\n"), probabilities=True)
        np.testing.assert_allclose(np.exp(model.logits), [0.75, 0.25])
        assert model.counts is None

    @pytest.mark.parametrize(
        ("content", "complaint"),
        [
            ("a,1\nb,-2\n", r"line 2: the count must be a finite number >= 0; got '-2'"),
            ("a,1\nb,nan\n", r"line 2: .* got 'nan'"),
            ("a,nan\nb,1\n", r"line 1: .* got 'nan'"),
            ("a,inf\n", r"line 1: .* got 'inf'"),
            ("a,3x\nb,1\n", r"line 1: .* got '3x'"),
            ("a,\nb,1\n", r"line 1: .* got ''"),
            ("a,n/a\nb,1\n", r"line 1: .* got 'n/a'"),
            ('a,"1,500"\nb,"2,000"\n', r"line 1: .* got '1,500'. Write 1,500 as 1500"),
            ("outcome;count\na;1,5\n", r"line 2: .* got '1,5'. .* decimal comma as a point"),
            ("a;1,5\nb;2,5\n", r"line 1: must have one meaning; .*sep="),
            ("sep=;\na;1\nb;-2\n", r"line 3: .* got '-2'"),
            ("3,heads\n1,tails\n", r"line 2: .* got 'tails'. The outcome comes first"),
            ('a,1\n",5\nb,2\nc,3\n', r"line \d: must be CSV"),
            ("o,n\na,1\nb,two\n", r"line 3: .* got 'two'"),
            ("a,1\nb\n", r"line 2: must be outcome,count; got 1 fields"),
            ("a,1,2\n", r"line 1: must be outcome,count; got 3 fields"),
            ("a,1\nb,1\na,2\n", r"line 3: .* 'a' was on line 1 already"),
            ("", "must not be empty; it has no line outcome,count"),
            ("outcome,count\n", "must not be empty; it has no line"),
            ("a,0\nb,0\n", "must not be empty; its count column sums to 0"),
        ],
    )
    def test_what_is_no_table_of_counts_is_refused(self, write, content, complaint):
        with pytest.raises(ValueError, match=complaint):
            read_logits(write("x.csv", content))

    def test_probabilities_must_sum_to_one(self, write):
        with pytest.raises(ValueError, match=r"must sum to 1 .* got 0\.9"):
            read_logits(write("x.csv", "a,0.5\nb,0.4\n"), probabilities=True)


class TestText:
    def test_characters_by_rank(self, write):
        path = write("x.txt", "abba ab\n")
        model = read_logits(f"text:{path}")
        assert model.outcomes == ("a", "b", "\n", " ")
        assert model.counts is not None
        assert model.counts.tolist() == [3, 3, 1, 1]
        np.testing.assert_allclose(np.exp(model.logits), np.array([3, 3, 1, 1]) / 8)

    def test_words(self, write):
        model = read_logits(f"words:{write('x.txt', 'The cat. The DOG!')}")
        assert model.outcomes == ("the", "cat", "dog")

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("don't o'er 'tis rock'n'roll", ["don't", "o'er", "rock'n'roll", "tis"]),
            ("It’s", ["it's"]),
            ("well-known 42 x2y snake_case", ["case", "known", "snake", "well", "x", "y"]),
            ("Straße ÉTÉ e\u0301te\u0301 жизнь", ["straße", "été", "жизнь"]),
            ("m² 3½ex\u00adample \u0301a", ["a", "example", "m"]),
            ("123 ... --", []),
        ],
    )
    def test_what_a_word_is(self, text, words):
        assert sorted(word_counts(text).outcomes) == words

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("İstanbul'da IĞDIR ve İSTANBUL", "i̇stanbul'da iğdir ve i̇stanbul"),
            ("Ὁ βίος βραχύς, ἡ δὲ τέχνη μακρή·", "ὁ βίος βραχύς ἡ δὲ τέχνη μακρή"),
            ("Жизнь прожи\u0301ть — не поле", "жизнь прожи\u0301ть не поле"),
            ("בְּרֵאשִׁית בָּרָא, צה״ל", "בְּרֵאשִׁית בָּרָא צה״ל"),
            ("بِسْمِ ٱللَّهِ، الكتاب", "بِسْمِ ٱللَّهِ الكتاب"),
            ("می\u200cخواهم کتاب\u200cها.", "می\u200cخواهم کتاب\u200cها"),
            ("हिन्दी में किताबें, क्\u200dया।", "हिन्दी में किताबें क्\u200dया"),
            ("আমার সোনার বাংলা।", "আমার সোনার বাংলা"),
            ("எல்லா மனிதப் பிறவியினரும்", "எல்லா மனிதப் பிறவியினரும்"),
            ("ශ්\u200dරී ලංකා", "ශ්\u200dරී ලංකා"),
            ("안녕하세요 " + unicodedata.normalize("NFD", "세계"), "안녕하세요 세계"),
            ("Բարև, աշխարհ։", "բարև աշխարհ"),
            ("გამარჯობა მსოფლიო", "გამარჯობა მსოფლიო"),
            ("ሰላም፣ ልዑል", "ሰላም ልዑል"),
            (unicodedata.normalize("NFD", "Tiếng Việt được"), "tiếng việt được"),
            ("La col·lecció d’aigua", "la col·lecció d'aigua"),
            ("สวัสดี ครับ", "สวัสดี ครับ"),  # Thai within its blanks
            ("吾輩は猫である。名前はまだ無い", "吾輩は猫である 名前はまだ無い"),
        ],
    )
    def test_words_of_many_scripts(self, text, words):
        """Those with blanks between words agree with the default rules of Unicode (UAX #29)."""
        expected = [unicodedata.normalize("NFC", word) for word in words.split()]
        assert sorted(word_counts(text).outcomes) == sorted(set(expected))

    def test_standard_input(self, monkeypatch):
        for kind, outcomes in (("text", ("b", "\n", "é")), ("words", ("bé", "b"))):
            typed = io.TextIOWrapper(io.BytesIO("b\nbé".encode()))
            monkeypatch.setattr("sys.stdin", typed)
            assert set(read_logits(f"{kind}:-").outcomes or ()) == set(outcomes)

    @pytest.mark.parametrize(
        ("kind", "content", "complaint"),
        [
            ("text", "", "corpus must not be empty; it has 0 characters"),
            ("words", "1 2 3", "corpus must not be empty; it has 0 words"),
            ("text", b"caf\xe9", "must be UTF-8 text; byte 3"),
        ],
    )
    def test_what_is_no_corpus_is_refused(self, write, kind, content, complaint):
        with pytest.raises(ValueError, match=complaint):
            read_logits(f"{kind}:{write('x.txt', content)}")

    def test_text_holds_no_probabilities(self, write):
        with pytest.raises(ValueError, match="--probabilities"):
            read_logits(f"text:{write('x.txt', 'a')}", probabilities=True)

    def test_pairs_of_characters_form_a_ring(self):
        text = "so it goes, so it went: ünïcödé 😀!"
        single, pairs = character_counts(text), next_character_counts(text)
        assert pairs.outcomes == single.outcomes
        # Each character is followed by one and follows one: its distribution is stationary.
        np.testing.assert_array_equal(pairs.counts.sum(0), single.counts)
        np.testing.assert_array_equal(pairs.counts.sum(1), single.counts)
        rank = {character: index for index, character in enumerate(pairs.outcomes)}
        brute = np.zeros_like(pairs.counts)
        for this, following in zip(text, text[1:] + text[0], strict=True):
            brute[rank[this], rank[following]] += 1
        np.testing.assert_array_equal(pairs.counts, brute)

    def test_no_pairs_in_an_empty_text(self):
        with pytest.raises(ValueError, match="`text` must not be empty"):
            next_character_counts("")
