"""Special functions: precision against mpmath, derivatives, dtypes, edges."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from fixedpoint import special


def lambert_exp(y):
    """W(e^y) to 40 digits, by Newton steps on w + log w = y."""
    with mpmath.workdps(40):
        y = mpmath.mpf(y)
        w = mpmath.exp(y) if y < 0 else y + 1 - mpmath.log(1 + y)
        for _ in range(60):
            w = w * (1 + y - mpmath.log(w)) / (1 + w)
        return w


def relative(values, references):
    with mpmath.workdps(40):
        pairs = zip(map(float, values), references, strict=True)
        return max(float(abs(mpmath.mpf(v) / r - 1)) for v, r in pairs)


def test_lambertw_is_exact_to_machine_precision():
    x = np.concatenate([np.linspace(-0.3, 3, 101), 10.0 ** np.arange(-300, 301, 20)])
    with mpmath.workdps(40):
        expected = [mpmath.lambertw(mpmath.mpf(v)).real for v in x]
    assert relative(special.lambertw(x), expected) < 1e-15
    assert special.lambertw(0.0) == 0
    assert special.lambertw(jnp.inf) == jnp.inf


def test_lambertw_towards_and_beyond_the_branch_point():
    x = -np.exp(-1.0) + 10.0 ** -np.arange(2, 16)
    with mpmath.workdps(40):
        expected = [mpmath.lambertw(mpmath.mpf(v)).real for v in x]
    assert relative(special.lambertw(x), expected) < 1e-8
    assert special.lambertw(-np.exp(-1.0)) == pytest.approx(-1, abs=3e-8)
    assert jnp.isnan(special.lambertw(-0.4))


def test_lambertw_of_an_exponential_is_exact_where_it_overflows():
    y = np.concatenate([np.linspace(-700, 700, 57), [-1e-9, 0.0, 1e-9, 1.0, 1e6, 1e15, 1e300]])
    assert relative(special.lambertw_exp(y), map(lambert_exp, y)) < 1e-15
    np.testing.assert_array_equal(special.lambertw_exp(jnp.array([-jnp.inf, jnp.inf])), [0, np.inf])


def test_derivatives_of_lambertw():
    x = jnp.array([-0.2, 0.0, 0.5, 3.0, 1e10])
    w = special.lambertw(x)
    np.testing.assert_allclose(
        jax.vmap(jax.grad(special.lambertw))(x), 1 / ((1 + w) * jnp.exp(w)), rtol=1e-14
    )
    slopes = jax.jit(jax.vmap(jax.grad(special.lambertw_exp)))
    np.testing.assert_allclose(slopes(jnp.array([-jnp.inf, 1.0, 800.0, jnp.inf])), [
        0, 0.5, 1 - 1 / (1 + special.lambertw_exp(800.0)), 1,
    ])  # fmt: skip


@pytest.mark.parametrize("function", [special.lambertw, special.lambertw_exp])
def test_lambertw_in_single_precision(function):
    x = jnp.linspace(0, 50, 40, dtype=jnp.float32)
    assert function(x).dtype == jnp.float32
    np.testing.assert_allclose(function(x), function(x.astype(float)), rtol=3e-7)


@pytest.mark.parametrize("scale", [0.0, 1e-300, 1e-200, 1e-100, 1e-9, 0.3, 1.0])
def test_log1p_expm1_neither_overflows_nor_cancels(scale):
    x = np.array([0.0, 1e-20, 1e-3, 2.0, 300.0, 700.0, 1e4])
    with mpmath.workdps(5000):
        expected = [float(mpmath.log1p(scale * mpmath.expm1(v))) for v in x]
    np.testing.assert_allclose(special.log1p_expm1(scale, x), expected, rtol=4e-15, atol=1e-307)
    slope = jax.grad(special.log1p_expm1, argnums=(0, 1))
    assert all(np.isfinite(d) for v in x[:5] for d in slope(scale, v))


def test_log1p_expm1_in_float32():
    scale, x = (values.ravel() for values in np.meshgrid([1e-30, 1e-19, 0.3], [50.0, 80.0, 200.0]))
    scale, x = scale.astype(np.float32), x.astype(np.float32)
    pairs = zip(scale.tolist(), x.tolist(), strict=True)
    with mpmath.workdps(200):
        expected = [float(mpmath.log1p(a * mpmath.expm1(v))) for a, v in pairs]
    np.testing.assert_allclose(special.log1p_expm1(scale, x), expected, rtol=1e-6)


def test_quotients_of_gamma_functions_of_any_size():
    for x in (0.3, 1.0, 2.5, 7.0, 40.0, 1e3, 1e6, 1e12):
        with mpmath.workdps(40):
            y = mpmath.mpf(x)
            shifts = [-0.25, -0.2, 0.1, 0.5, 1.0, 2.0, 9.0]
            quotients = [mpmath.exp(mpmath.loggamma(y + a) - mpmath.loggamma(y)) for a in shifts]
            halves = [0.05, 0.25, 0.29]
            products = [
                mpmath.exp(2 * mpmath.loggamma(y) - mpmath.loggamma(y + z) - mpmath.loggamma(y - z))
                for z in halves
            ]
        found = special.gamma_quotient(x, np.array(shifts))
        assert relative(found, quotients) < 1e-14 * max(1, 9 * np.log(x))
        assert relative(special.euler_product(x, np.array(halves)), products) < 1e-14
    assert special.euler_product(1.0, 1.0) == 0
    np.testing.assert_allclose(jax.grad(special.euler_product, 1)(1.0, 1.0), -1, rtol=1e-13)


def test_phi2_is_exact_on_both_sides_of_its_series():
    x = np.concatenate([-(10.0 ** np.arange(-200, 3, 3.7)), np.linspace(-3, 30, 67)])
    with mpmath.workdps(500):
        expected = [(mpmath.expm1(v) - v) / mpmath.mpf(v) ** 2 if v else 0.5 for v in x]
    assert relative(special.phi2(x), expected) < 3e-15
    slope = jax.vmap(jax.grad(special.phi2))(jnp.array([-1e-9, 0.0, 1e-9]))
    np.testing.assert_allclose(slope, 1 / 6, rtol=1e-8)
    assert special.phi2(jnp.float32(1.0)).dtype == jnp.float32


def test_root_and_its_derivatives():
    def cube_root(c):
        return special.increasing_root(lambda x: x**3 - c, jnp.zeros_like(c), 1 + c)

    c = jnp.array([1e-9, 0.5, 8.0, 1e6])
    np.testing.assert_allclose(cube_root(c), np.cbrt(c), rtol=1e-15)
    first = jax.vmap(jax.grad(cube_root))
    np.testing.assert_allclose(jax.jit(first)(c), c ** (-2 / 3) / 3, rtol=1e-13)
    second = jax.grad(jax.grad(cube_root))(jnp.asarray(8.0))
    np.testing.assert_allclose(second, -2 / 9 * 8 ** (-5 / 3), rtol=1e-12)


def test_root_of_a_steep_function_stays_in_its_bracket():
    log_levels = jnp.array([-690.0, 0.0, 690.0])
    root = special.increasing_root(
        lambda x: jnp.exp(x) - jnp.exp(log_levels), jnp.full(3, -800.0), jnp.full(3, 800.0)
    )
    np.testing.assert_allclose(root, log_levels, rtol=1e-12, atol=1e-12)


def test_root_at_the_ends_of_the_bracket_and_in_single_precision():
    ends = jnp.array([2.0, 5.0], jnp.float32)
    root = special.increasing_root(lambda x: x - ends, jnp.full(2, 2.0, jnp.float32), ends)
    assert root.dtype == jnp.float32
    np.testing.assert_allclose(root, ends, rtol=1e-6)


@pytest.mark.parametrize("x", [0.0, 1e-20, 0.3, 1.0])
@pytest.mark.parametrize("n", [0.0, 1.0, 2.5, 1e6])
def test_powers_of_what_is_left_and_their_slopes(x, n):
    with mpmath.workdps(60):
        left = (1 - mpmath.mpf(x)) ** mpmath.mpf(n)
        by_x = -n * (1 - mpmath.mpf(x)) ** (mpmath.mpf(n) - 1) if n else mpmath.mpf(0)
        by_n = left * mpmath.log(1 - mpmath.mpf(x)) if x < 1 else mpmath.mpf(0)
        wanted = np.array([left, by_x, by_n, 1 - left, -by_x, -by_n], float)
    found = []
    for function in (special.power_of_complement, special.complement_of_power):
        found += [function(x, n), *jax.grad(function, argnums=(0, 1))(x, n)]
    np.testing.assert_allclose(found, wanted, rtol=1e-13)
    single = special.complement_of_power(jnp.float32(x), jnp.float32(n))
    assert single.dtype == jnp.float32


def test_what_a_decay_takes_away_keeps_its_digits():
    x = np.concatenate([10.0 ** np.arange(-300, -1, 20), np.linspace(0.1, 40, 101)])
    with mpmath.workdps(400):
        expected = [mpmath.log(-mpmath.expm1(-mpmath.mpf(v))) for v in x]
    assert relative(special.log1mexp(x), expected) < 1e-13
    assert special.log1mexp(np.float32(0.5)).dtype == jnp.float32


def test_the_inverse_less_one_keeps_its_digits():
    x = np.concatenate([1 + 10.0 ** np.arange(-15, 0), 1 - 10.0 ** np.arange(-15, 0), [1e-9, 1e9]])
    with mpmath.workdps(40):
        expected = [1 / mpmath.mpf(v) - 1 for v in x]
    assert relative(special.inverse_minus_one(x), expected) < 1e-15
    assert special.inverse_minus_one(jnp.inf) == -1
    assert special.inverse_minus_one(np.float32(0.5)).dtype == jnp.float32


def test_what_is_negligible_vanishes_beside_one_and_has_a_square():
    for dtype in (jnp.float32, jnp.float64):
        tiny = special.negligible(jnp.zeros((), dtype))
        assert 1 + tiny == 1
        assert tiny * tiny >= jnp.finfo(dtype).tiny


def test_powers_and_their_slopes_where_they_saturate():
    x, n = jnp.array([0.5, 1.3, 1.0, 2.0]), jnp.array([-3.0, 2.5, 1e6, 0.0])
    by_x, by_n = (jax.vmap(jax.grad(special.power, argnums=k))(x, n) for k in (0, 1))
    np.testing.assert_allclose(special.power(x, n), x**n, rtol=1e-15)
    np.testing.assert_allclose(by_x, n * x ** (n - 1), rtol=1e-14)
    np.testing.assert_allclose(by_n, x**n * np.log(x), rtol=1e-14)
    for base, exponent, value in ((0.5, -2000.0, np.inf), (0.5, 2000.0, 0), (0.0, 3.0, 0)):
        assert special.power(base, exponent) == value
        assert jax.grad(special.power, argnums=(0, 1))(base, exponent) == (0, 0)
    assert special.power(jnp.float32(0.5), jnp.float32(3)).dtype == jnp.float32
