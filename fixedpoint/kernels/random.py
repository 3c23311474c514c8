"""Random numbers inside a loop: xoroshiro generators, one for every replicate.

`jax.random` derives every number from a key, which costs far more than the generation that uses it;
drawn in advance, the numbers of a long run do not fit into the cache. Here each replicate carries
two words of state, seeded with the key and the replicate's number alone.

References:
    Blackman & Vigna (2021), Scrambled linear pseudorandom number generators, ACM Trans. Math.
    Softw. 47, 36: xoroshiro128+ and xoroshiro64*, of which only the upper bits are used.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

__all__ = ["mixed_words", "next_uniform", "next_word", "seeds", "uniform_near_0"]

# Shifts of xoroshiro128+ and of its half-size sibling, by the number of bits of a word.
_SHIFTS = {64: (24, 16, 37), 32: (26, 9, 13)}

GAMMA = 0x9E3779B97F4A7C15
"""What splitmix64 adds to its state for every word."""


@partial(jax.jit, static_argnums=(1, 2))
def seeds(key: Array, dtype: Any, num_replicates: int) -> Array:
    """Two words for every replicate, made from the key and its number: (num_replicates, 2)."""
    word = jnp.uint64 if dtype == jnp.float64 else jnp.uint32
    keys = jax.vmap(lambda r: jax.random.fold_in(key, r))(jnp.arange(num_replicates))
    return jax.vmap(lambda k: jax.random.bits(k, (2,), word))(keys)


def next_word(words: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
    """A word of 64 or 32 random bits, of which the lowest few are weaker, and the next state."""
    low, high = words
    dtype = low.dtype
    size = 64 if dtype == jnp.uint64 else 32
    a, b, c = _SHIFTS[size]

    def rotated(word: Array, by: int) -> Array:
        return (word << dtype.type(by)) | (word >> dtype.type(size - by))

    output = low + high if size == 64 else low * dtype.type(0x9E3779BB)
    mixed = low ^ high
    return output, (rotated(low, a) ^ mixed ^ (mixed << dtype.type(b)), rotated(mixed, c))


def next_uniform(words: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
    """A number in [0, 1) and the generator's next state."""
    output, words = next_word(words)
    size, kept = (64, 52) if output.dtype == jnp.uint64 else (32, 23)
    upper = output >> output.dtype.type(size - kept)
    return upper.astype(f"float{size}") * 2.0**-kept, words


def uniform_near_0(first: Array, second: Array, dtype: Any) -> Array:
    """A number in (0, 1] from two words of 32 bits, also in float32 with steps of 2⁻⁴⁸ near 0."""
    high, low = (first >> np.uint32(8)).astype(dtype), (second >> np.uint32(8)).astype(dtype)
    return high * 2.0**-24 + (low + 0.5) * 2.0**-48


def mixed_words(states: Array, number: int) -> tuple[Array, Array]:
    """The next 64-bit words of splitmix64, (number, ...), for each state, and the states after.

    Any number of words is one elementwise pass, where `next_uniform` takes one step after another:
    for generations that use many numbers at a time.

    References:
        Steele, Lea & Flood (2014), Fast splittable pseudorandom number generators, OOPSLA.
    """
    word = states.dtype.type
    steps = jnp.arange(1, number + 1).astype(states.dtype).reshape(-1, *[1] * states.ndim)
    z = states[None] + word(GAMMA) * steps
    z = (z ^ (z >> word(30))) * word(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> word(27))) * word(0x94D049BB133111EB)
    return z ^ (z >> word(31)), states + word(GAMMA * number % 2**64)
