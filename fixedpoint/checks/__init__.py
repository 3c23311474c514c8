"""Every check of an argument, and its message.

A check returns the value it was given, so that it can stand where the value is used, and raises
`ValueError` with a message that names the argument, the rule and the value:
``"`temperature` must be >= 0; got -0.5."``. Only concrete values are looked at: a tracer (inside
`jax.jit`, `jax.vmap` or `jax.grad`) passes unchecked.

A number is an integer or a float that JAX has a type for, alone or in an array or a list: no text,
no boolean, no complex number. `name` is what the message calls the argument. The arguments of a law
are checked by their names, which mean the same everywhere: see `arguments`.
"""

from fixedpoint.checks.by_name import arguments as arguments
from fixedpoint.checks.runs import check_concrete as check_concrete
from fixedpoint.checks.runs import check_devices as check_devices
from fixedpoint.checks.runs import check_functions as check_functions
from fixedpoint.checks.runs import check_generations as check_generations
from fixedpoint.checks.runs import check_key as check_key
from fixedpoint.checks.runs import check_kind as check_kind
from fixedpoint.checks.values import check_count as check_count
from fixedpoint.checks.values import check_dtype as check_dtype
from fixedpoint.checks.values import check_float64 as check_float64
from fixedpoint.checks.values import check_fraction as check_fraction
from fixedpoint.checks.values import check_logits as check_logits
from fixedpoint.checks.values import check_modes as check_modes
from fixedpoint.checks.values import check_nonnegative as check_nonnegative
from fixedpoint.checks.values import check_numbers as check_numbers
from fixedpoint.checks.values import check_outcomes as check_outcomes
from fixedpoint.checks.values import check_positive as check_positive
from fixedpoint.checks.values import check_probabilities as check_probabilities
from fixedpoint.checks.values import check_range as check_range
from fixedpoint.checks.values import check_temperature as check_temperature
from fixedpoint.checks.values import check_whole as check_whole
