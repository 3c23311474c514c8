"""The generators inside the loops against their definition in whole numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fixedpoint.kernels.random import next_uniform, seeds


def twin(low, high, bits):
    """xoroshiro128+ or xoroshiro64*, as published, in Python's integers."""
    mask = (1 << bits) - 1
    a, b, c = (24, 16, 37) if bits == 64 else (26, 9, 13)

    def rotate(x, k):
        return ((x << k) | (x >> (bits - k))) & mask

    output = (low + high) & mask if bits == 64 else (low * 0x9E3779BB) & mask
    high ^= low
    return output, rotate(low, a) ^ high ^ ((high << b) & mask), rotate(high, c)


@pytest.mark.parametrize(("bits", "kept"), [(64, 52), (32, 23)])
def test_the_generator_is_the_published_one(bits, kept):
    dtype = jnp.float64 if bits == 64 else jnp.float32
    words = seeds(jax.random.key(3), dtype, 2)
    state = (words[:, 0], words[:, 1])
    integers = [[int(word) for word in pair] for pair in words]
    for _ in range(5):
        uniform, state = next_uniform(state)
        assert uniform.dtype == dtype
        for r, pair in enumerate(integers):
            output, *integers[r] = twin(pair[0], pair[1], bits)
            assert float(uniform[r]) == (output >> (bits - kept)) / 2**kept
            assert [int(word[r]) for word in state] == integers[r]


def test_a_replicates_seed_is_its_own():
    few, many = (seeds(jax.random.key(1), jnp.float64, number) for number in (3, 50))
    np.testing.assert_array_equal(few, many[:3])
    assert len(np.unique(many)) == 100
