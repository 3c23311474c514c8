# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Single traces: one sample, one step, again
#
# A model draws one sample of itself, takes one gradient step on it, and goes on:
#
# $$\theta' = \theta + \eta\,(\hat p - p).$$
#
# Two of the paper's seven claims are about this:
#
# - **Claim 2.** With tiny steps at temperature 1 the model stays still, more strongly than to the
#   order of the summed step sizes.
# - **Claim 3.** With big steps the modes perhaps collapse; with one huge step, certainly.
#
# The second claim is right, and has a rate. The third is half right: what looks like a collapse is
# not final. Then we leave two outcomes for more, and temperature 1 for others.

# %%
from pathlib import Path

import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Math, display

import fixedpoint as fp
from fixedpoint import confront, simplex
from fixedpoint.inputs import character_counts
from fixedpoint.laws import traces
from fixedpoint.laws.equation import equations
from fixedpoint.loop.traces import run_traces
from fixedpoint.loop.vertex import run_events
from paper import data as texts

plt.style.use(Path(texts.__file__).with_name("paper.mplstyle"))
plt.rcParams["figure.dpi"] = 100
np.set_printoptions(precision=4, suppress=True)


def statement(label):
    """Show a registered equation, from its SymPy object."""
    equation = register[label]
    print(f"{label} ({equation.kind}): {equation.statement}")
    display(Math(equation.latex()))


def proof(label):
    """Run the steps of its proof."""
    verdict = confront.prove(register[label])
    for claim, step in verdict.details.items():
        print("✓" if step["closes"] else "✗", claim)
    return verdict


def confrontation(label):
    """Run the loop that it describes, compare, and let the same data judge the near misses."""
    verdict = confront.confront(register[label])
    print(f"{verdict.status}: {verdict.summary}")
    return verdict


def loop(step_size, temperature=1.0):
    """One gradient step a generation, on one sample."""
    return fp.Loop(fp.Temperature(temperature), fp.Fresh(1), fp.GradientSteps(step_size))


register, verdicts = equations(), {}

# %% [markdown]
# ## Claim 2: next to nothing changes
#
# The mean step is the step size times what is sampled minus the model. At $T=1$ that is nothing,
# from every state:

# %%
statement("traces.martingale")
verdicts["traces.martingale", "proof"] = proof("traces.martingale")

# %% [markdown]
# What is left is noise. Steps of a martingale are uncorrelated, so their squares add up, and in a
# training time $S=\eta n$ the model moves by the order of $\sqrt{\eta S}$, not of $S$:

# %%
for label in ("traces.displacement", "traces.displacement_bound"):
    statement(label)
    verdicts[label, "proof"] = proof(label)

# %%
verdicts["traces.displacement", "process"] = confrontation("traces.displacement")

# %% [markdown]
# On real text: the characters of 38 plays attributed to Shakespeare, trained on single characters
# of their own for a time $S=20$. Each row has a quarter of the step size of the one above, and
# half of its displacement, until the noise is all gone. At $T=0.8$ there is a drift, and the
# displacement stays.

# %%
characters = character_counts(texts.shakespeare())
play = simplex.logits(jnp.asarray(characters.counts / characters.counts.sum()))


def distance(logits):
    return jnp.linalg.norm(logits - jnp.broadcast_to(play, logits.shape), axis=-1)


rms = {}
for T in (1.0, 0.8):
    for step_size in (0.08, 0.02, 0.005):
        generations = round(20 / step_size)
        runs = run_traces(
            loop(step_size, T),
            play,
            generations,
            key=jax.random.key(1),
            num_replicates=32,
            observe=distance,
            save_at=[generations],
        )
        rms[T, step_size] = float(jnp.sqrt(jnp.mean(runs.value**2)))
        print(f"T = {T}, step size {step_size:5}: rms displacement {rms[T, step_size]:.3f}")

# %% [markdown]
# ## Two outcomes: a catenoid
#
# For small steps the gap $z$ of two logits follows $dz=\mathrm{sech}(z/2)\,dW$: it is the height
# of a Brownian motion on a catenoid. The two ends of the surface are the two collapsed models.

# %%
statement("traces.catenoid")
verdicts["traces.catenoid", "proof"] = proof("traces.catenoid")

# %% [markdown]
# On a catenoid one comes back through the neck again and again, and spends nearly all time far from
# it. Both halves of the sentence matter for claim 3.

# %% [markdown]
# ## Claim 3: one huge step is metastable, not final
#
# With even odds and step size 20, one step makes the gap 20 and the other outcome's probability
# $2\cdot10^{-9}$. But as long as only the leader is drawn, its odds grow by no more than $2\eta$ a
# step. That is too slow to escape a surprise for ever:

# %%
statement("traces.first_surprise")
verdicts["traces.first_surprise", "proof"] = proof("traces.first_surprise")
verdicts["traces.first_surprise", "process"] = confrontation("traces.first_surprise")

# %%
for n in (1e6, 1e9, 1e12, 1e100):
    chance = float(traces.first_surprise(20.0, 20.0, n))
    print(f"no surprise in {n:.0e} generations: {chance:.3f}")

# %% [markdown]
# A surprise takes back $2\eta$ at once. So the model swings for ever, ever more slowly. A
# simulation that jumps from surprise to surprise follows it up to generation $e^{400}$:

# %%
statement("traces.switches")
verdicts["traces.switches", "process"] = confrontation("traces.switches")

# %%
log_generations = np.linspace(1, 60, 400)
swings = run_events(
    loop(0.5),
    jnp.zeros(2),
    log_generations,
    key=jax.random.key(2),
    num_replicates=4,
    observe=lambda logits: logits[0] - logits[1],
)
fig, ax = plt.subplots(figsize=(5.2, 2.4))
ax.plot(log_generations, log_generations, ":", log_generations, -log_generations, ":", color="0.6")
ax.plot(log_generations, swings.value, linewidth=0.9)
ax.set(xlabel="logarithm of the generation", ylabel="logit gap")
print("switches of each run:", np.asarray(swings.num_switches[-1]))

# %% [markdown]
# ### Where collapse is final
#
# Take the same step on probabilities instead of logits, $p'=(1-\eta)p+\eta\hat p$, and the model
# must die: rules that look alike in two charts have opposite fates.

# %%
statement("traces.two_charts")
verdicts["traces.two_charts", "proof"] = proof("traces.two_charts")

# %%
frozen = fp.run(
    fp.Loop(corpus=fp.Fresh(1), learner=fp.MixtureStep(0.5)),
    jnp.zeros(2),
    400,
    key=jax.random.key(3),
    num_replicates=8,
    observe=simplex.tail_probability,
    save_at=[10, 100, 400],
    progress=False,
).value
for n, tail in zip((10, 100, 400), frozen, strict=True):
    print(f"generation {n:3}: probability of the loser at most {tail.max():.0e}")

# %% [markdown]
# ## Three outcomes and more: two at a time
#
# With three outcomes the interior of the simplex is left for good. Let $Y=\sum_i e^{-\theta_i}$
# over any three (or more) of them. A power of $1/Y$ falls on average from every state:

# %%
statement("traces.transience")
verdicts["traces.transience", "proof"] = proof("traces.transience")

# %% [markdown]
# That is the limit of small steps. For *every* step size, and with a batch of $B$ samples, let $A$
# be a set of $m\ge3$ outcomes, $Y$ their sum and $D$ the change of $\log Y$ in one step. With
# $c=1/(Y\sum_k e^{\theta_k})$, which is at most $1/m^2$,
#
# $$\mathbb{E}\,D \ge \frac{e^{-2\eta}-1+2\eta}{(2\eta)^2}\;\frac{\eta^2}{B}\,c\,(m-2),\qquad
# \mathbb{E}\,D^2 \le c\,\big[2(e^\eta-1)^2+2m\eta^2e^\eta\big].$$
#
# The first line bounds the curvature of $\log Y$ along the step from below: its third derivative
# is at most the range of the step, $2\eta$, times the second. The second line bounds the step's
# two parts, $\eta p$ and $-\eta\hat p$, separately. The ratio of the two is bounded below by a
# constant $k>0$, and as $|D|\le\eta$, the mean of $Y'^{-\alpha}$ is below $Y^{-\alpha}$ as soon as
# $\alpha e^{\alpha\eta}\le2k$. So $Y^{-\alpha}$ converges, and only two outcomes can stay alive.
# We try both bounds at random states, with every draw listed:

# %%
random = np.random.default_rng(4)
lowest, highest = np.inf, 0.0
for _ in range(2000):
    K = random.integers(3, 7)
    m, step = random.integers(3, K + 1), random.choice([0.1, 0.5, 2.0, 8.0])
    theta = random.normal(0, random.choice([0.5, 2.0, 5.0]), K)
    p = np.exp(theta) / np.exp(theta).sum()
    moved = theta + step * (np.eye(K) - p)
    Y, after = np.exp(-theta[:m]).sum(), np.exp(-moved[:, :m]).sum(-1)
    D, c = np.log(after / Y), 1 / (Y * np.exp(theta).sum())
    least = (np.exp(-2 * step) - 1 + 2 * step) / 4 * c * (m - 2)
    most = c * (2 * np.expm1(step) ** 2 + 2 * m * step**2 * np.exp(step))
    lowest, highest = min(lowest, p @ D / least), max(highest, p @ D**2 / most)
print(f"mean of D over its bound: at least {lowest:.3f}")
print(f"mean of D² over its bound: at most {highest:.3f}")

# %% [markdown]
# ### What is remembered
#
# Which outcome leads at a late generation? The logits are a martingale, and late states are
# corners; together this gives a law that we have derived but not proved for three outcomes and
# more, and the chance that a leader was never overtaken.

# %%
for label in ("traces.memory", "traces.survival"):
    statement(label)

# %%
late = run_events(
    loop(1.0),
    jnp.array([4.0, -1.0, -3.0]),
    [25.0, 50.0],
    key=jax.random.key(5),
    num_replicates=256,
    observe=simplex.mode,
)
memory = {}
for log_n, leaders in zip((25.0, 50.0), late.value, strict=True):
    memory[log_n] = np.bincount(leaders, minlength=3) / 256
    law = np.asarray(traces.memory(jnp.array([4.0, -1.0, -3.0]), log_n))
    print(f"log n = {log_n}: leads {memory[log_n]}, law {law}, standard error 0.03")

# %% [markdown]
# ## Other temperatures
#
# Below temperature 1 one outcome is drawn for ever in the end. Which one? For small steps the
# initial mode, but for a probability that is exponentially small:

# %%
statement("traces.winner")
print(register["traces.winner"].assumes)
verdicts["traces.winner", "proof"] = proof("traces.winner")
verdicts["traces.winner", "process"] = confrontation("traces.winner")

# %% [markdown]
# There is a worst step size in between: moderate steps forget the mode more than one huge step
# does. From odds of $e^{1/2}$ at $T=0.8$:

# %%
won = {}
for step_size in (0.1, 0.5, 2.0, 20.0):
    runs = run_traces(
        loop(step_size, 0.8),
        jnp.array([0.25, -0.25]),
        5000,
        key=jax.random.key(6),
        num_replicates=2048,
        observe=lambda logits: logits[..., 0] > logits[..., 1],
        save_at=[5000],
    )
    won[step_size] = float(runs.value.mean())
    print(f"step size {step_size:4}: the mode wins with probability {won[step_size]:.3f}")
print("its initial probability is 0.622, sampled at T = 0.8 it is 0.651; standard error 0.011")

# %% [markdown]
# Above temperature 1 there is a stationary law, and it is not always near the uniform model. Just
# above 1, with $v=\eta/(1-1/T)$, it is a mixture of Gaussians: about the uniform model, about the
# edges' middles, and about the corners, which win when $v$ is large.

# %%
statement("traces.stationary_mixture")
for v in (0.5, 2.0, 6.0):
    square = float(traces.stationary_mixture(3, v))
    print(f"v = {v}: mean square of the logits {square:5.2f}; one Gaussian would have {v}")

# %% [markdown]
# ## What was shown

# %%
for (label, _), verdict in verdicts.items():
    assert verdict.passed, f"{label}: {verdict.summary}"
assert {label for label, _ in verdicts} == {
    "traces.martingale",
    "traces.displacement",
    "traces.displacement_bound",
    "traces.catenoid",
    "traces.first_surprise",
    "traces.switches",
    "traces.two_charts",
    "traces.transience",
    "traces.winner",
}
for coarse, fine in ((0.08, 0.02), (0.02, 0.005)):
    assert 0.4 < rms[1.0, fine] / rms[1.0, coarse] < 0.6, "claim 2: not the root of the step size"
assert rms[0.8, 0.005] > 0.9 * rms[0.8, 0.02], "at T = 0.8 the drift must stay"
assert float(traces.first_surprise(20.0, 20.0, 1e100)) < 0.01, "claim 3: the collapse is final"
assert np.asarray(swings.num_switches[-1]).sum() > 0, "claim 3: nothing swings"
assert frozen[-1].max() < 1e-50, "on probabilities every run must freeze"
assert lowest >= 1, "the bound of the drift of log Y fails"
assert highest <= 1, "the bound of its square fails"
for log_n, frequencies in memory.items():
    law = np.asarray(traces.memory(jnp.array([4.0, -1.0, -3.0]), log_n))
    assert np.abs(frequencies - law).max() < 0.13, "the memory is another one"
assert won[2.0] < 0.622 < won[20.0] < won[0.1], "moderate steps must forget the most"
print("all assertions hold")
