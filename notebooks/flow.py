# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Gradient flow: what training really does between two generations
#
# Tempering is what becomes of a model whose every generation is trained to the minimum. Real
# training stops. With infinitely many samples and small steps it is a flow,
#
# $$\frac{d\theta}{dt} = p^* - p,$$
#
# where $p^*$ is the distribution of the data and time is learning rate × steps. Two claims depend
# on when it stops:
#
# - **Claim 4.** At $T<1$ the model collapses to its mode, double-exponentially. *Only if training
#   is unbounded: with a time $\tau$ for each generation the collapse is $1/(n\tau)$.*
# - **Claim 7.** The same holds for a lineage, where each generation trains the next from scratch,
#   as for one model that is fine-tuned on itself. *With ideal training. With finite training one
#   goes on and the other stops.*

# %%
from pathlib import Path

import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import sympy as sp
from IPython.display import Math, display

import fixedpoint as fp
from fixedpoint import confront, simplex
from fixedpoint.inputs import character_counts
from fixedpoint.laws import flow, tempering
from fixedpoint.laws.equation import equations
from fixedpoint.potential import potential
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


register, verdicts = equations(), {}


# %% [markdown]
# ## A limit of speed
#
# How fast can any teacher lead a softmax model to an outcome $i$? Write $s=1-p_i$ for the
# probability elsewhere, and let $p^*$ be any distribution, changing in time or not. Then
#
# $$\frac{dp_i}{dt} = 2p_is^2 - p_i\Big[(1-p^*_i)s + \sum_{j\ne i} p_jp^*_j
# + s^2 - \sum_{j\ne i}p_j^2\Big],$$
#
# and nothing in the bracket is negative. SymPy checks it for five outcomes, from
# $d\theta/dt=p^*-p$:

# %%
K = 5
theta = sp.symbols(f"theta1:{K + 1}", real=True)
p, q = sp.symbols(f"p1:{K + 1}", positive=True), sp.symbols(f"q1:{K + 1}", positive=True)
softmax = [sp.exp(x) / sum(map(sp.exp, theta)) for x in theta]
partition = dict(zip(map(sp.exp, theta), p, strict=True))
jacobian = [sp.diff(softmax[0], x).subs(partition).subs(sum(p), 1) for x in theta]
speed = sum(slope * (q[j] - p[j]) for j, slope in enumerate(jacobian))
s = 1 - p[0]
bracket = (1 - q[0]) * s + sum(p[j] * q[j] for j in range(1, K))
bracket += s**2 - sum(p[j] ** 2 for j in range(1, K))
last = {p[-1]: 1 - sum(p[:-1]), q[-1]: 1 - sum(q[:-1])}
residual = sp.expand((speed - 2 * p[0] * s**2 + p[0] * bracket).subs(last))
print("residual:", residual)

# %% [markdown]
# So $ds/dt\ge-2s^2$, and after a total training time $t$
#
# $$1-p_i(t) \ge \frac{s(0)}{1+2s(0)\,t}.$$
#
# A double exponential cannot obey that for long: each refit needs more training than the one
# before. With finite training the collapse must be a power law.

# %% [markdown]
# ## Claim 4 with finite training

# %%
for label in ("flow.multiplier", "flow.finite_training"):
    statement(label)
    verdicts[label, "proof"] = proof(label)

# %%
verdicts["flow.finite_training", "process"] = confrontation("flow.finite_training")

# %% [markdown]
# The loop itself, at $T=1/2$, with a training time $\tau$ in each generation: once for a model that
# goes on from where it is (`start="last"`), once for a lineage that is trained from the initial
# model each time (`start="initial"`).

# %%
start = simplex.logits(jnp.array([0.5, 0.3, 0.2]))
off = float(simplex.tail_probability(start))
taus = np.array([1.0, 10.0, 100.0, 1000.0])
generations = np.unique(np.geomspace(1, 300, 25).round().astype(int))


def train(how):
    """Probability off the mode after some generations, for every training time."""

    def one(tau):
        learner = fp.GradientFlow(time=tau, start=how, rtol=1e-8, atol=1e-8)
        loop = fp.Loop(sampler=fp.Temperature(0.5), learner=learner)
        observe = simplex.tail_probability
        return fp.run(loop, start, 300, observe=observe, save_at=generations, progress=False).value

    return np.asarray(jax.vmap(one)(jnp.asarray(taus)))


tuned, lineage = train("last"), train("initial")
refits = [float(simplex.tail_probability(tempering.logits(start, 0.5, n))) for n in range(1, 7)]

fig, ax = plt.subplots(figsize=(5.6, 3.2))
ax.loglog(range(1, 7), refits, "s-", color="black", markersize=3, linewidth=1, label="refits")
for row, tau in enumerate(taus):
    shade = plt.get_cmap("viridis")(0.85 - 0.27 * row)
    ax.loglog(
        generations, tuned[row], "o-", color=shade, markersize=3, linewidth=1, label=f"τ = {tau:g}"
    )
    ax.loglog(generations, lineage[row], "o", color=shade, markersize=3.5, markerfacecolor="white")
    ax.loglog(generations, flow.finite_training(3, tau, generations), "--", color=shade, lw=0.8)
ax.set(xlabel="generation", ylabel="probability off the mode", ylim=(1e-7, 1))
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
print("dots: fine-tuned on itself, circles: lineage, dashed: the law")

# %% [markdown]
# The first generations at $\tau=1000$ cannot be told from refits; then the curve bends into the
# power law. Times $K n\tau/(K-1)$, the probability off the mode tends to 1:

# %%
for row, tau in enumerate(taus):
    ratio = tuned[row] / flow.finite_training(3, tau, generations)
    shown = ", ".join(f"{float(ratio[i]):.4f}" for i in (10, 15, 20, -1))
    print(f"τ = {tau:6g}: {shown} in generations {generations[[10, 15, 20, -1]]}")

# %% [markdown]
# ## Claim 7: a lineage against fine-tuning
#
# **With ideal training** the start is forgotten. Gradient descent, plain steps of size 1, many of
# them, from the initial model every time:

# %%
thorough = fp.GradientSteps(step_size=1.0, num_steps=1000, start="initial")
scratch = fp.run(
    fp.Loop(sampler=fp.Temperature(0.8), learner=thorough), start, 5, progress=False
).value
law = jnp.stack([tempering.logits(start, 0.8, n) for n in range(6)])
same = float(jnp.abs(simplex.centre(scratch) - simplex.centre(law)).max())
print(f"largest difference between the lineage's logits and θ/Tⁿ: {same:.0e}")

# %% [markdown]
# **With finite training** the speed limit holds for each generation anew: the circles above come
# to rest. For long training they rest close to what training on the mode alone reaches in that
# time:

# %%
bound = off / (1 + 2 * off * taus)
one_hot = simplex.tail_probability(flow.frozen_one_hot_target(start, taus, 0))
print("     τ   lineage at rest   mode alone   no faster than")
for row, tau in enumerate(taus):
    print(f"{tau:6g} {lineage[row, -1]:17.6f} {float(one_hot[row]):12.6f} {bound[row]:16.6f}")

# %% [markdown]
# For short training it hardly moves. Small logits obey
# $\theta_{n+1} = E\theta_0 + (1-E)\theta_n/T$, $E=e^{-\tau/K}$, which is `flow.multiplier` with
# another start: they come to rest at $\theta_0E/(1-(1-E)/T)$ if $\tau < K\log\frac1{1-T}$.

# %%
tiny = 1e-4 * start
loop = fp.Loop(
    sampler=fp.Temperature(0.5),
    learner=fp.GradientSteps(step_size=0.001, num_steps=1000, start="initial"),
)
rest = fp.run(loop, tiny, 60, save_at=[60], progress=False).value[0]
E = np.exp(-1 / 3)
predicted = E / (1 - (1 - E) / 0.5)
found = float(simplex.centre(rest)[0] / tiny[0])
print(f"τ = 1, K = 3, T = 1/2: logits at rest multiplied by {found:.4f}, predicted {predicted:.4f}")

# %% [markdown]
# ## The model as its own teacher
#
# The other extreme: the data come from the model as it is at each moment,
# $d\theta/dt=\mathrm{softmax}(\theta/T)-\mathrm{softmax}(\theta)$. Hot and cold are one flow in
# opposite directions of time:

# %%
for label in ("flow.duality", "flow.uniform_rate", "flow.collapse_tail", "flow.losers_equalise"):
    statement(label)
    verdicts[label, "proof"] = proof(label)
    verdicts[label, "process"] = confrontation(label)

# %% [markdown]
# The losers' fate is where refits and the online flow are opposites. Refits drive all logits apart;
# the online flow makes the losers equal, while all of them fall behind the mode.

# %%
five = simplex.logits(jnp.array([0.3, 0.26, 0.2, 0.14, 0.1]))
times = np.geomspace(0.1, 1e6, 60)
online = np.asarray(fp.flow(fp.Loop(sampler=fp.Temperature(0.5)), five, times).value)
refitted = np.asarray([tempering.logits(five, 0.5, n) for n in range(8)])

fig, (left, right) = plt.subplots(1, 2, figsize=(6.6, 2.7))
left.plot(refitted[:, 1:] - refitted[:, :1], "o-", markersize=3, linewidth=1)
left.set(title="refits", xlabel="generation", ylabel="logit below the mode's (nats)")
right.semilogx(times, online[:, 1:] - online[:, :1], linewidth=1)
right.set(title="own teacher", xlabel="time (rate × steps)")
right.legend([f"outcome {i}" for i in range(2, 6)])

# %%
gaps = online[:, 1] - online[:, -1]
slope = np.polyfit(np.log(times[-12:]), np.log(gaps[-12:]), 1)[0]
tail = np.asarray(simplex.tail_probability(online))
print(f"gap between the first and the last loser: {gaps[0]:.3f} at first, {gaps[-1]:.3f} at last")
print(f"its slope in log t: {slope:.4f}, predicted {-flow.losers_equalise(5):.4f}")
print(f"probability off the mode × K t/(K-1) at last: {tail[-1] / flow.collapse_tail(5, 1e6):.5f}")

# %% [markdown]
# ## One potential
#
# What do all these roads have in common? They climb
# $\Phi(\theta)=T\,\mathrm{lse}(\theta/T)-\mathrm{lse}(\theta)$ (with real data, a term for them):

# %%
statement("flow.potential")
verdicts["flow.potential", "proof"] = proof("flow.potential")

# %%
roads = {
    "refit": fp.Refit(),
    "gradient step of size 0.2": fp.GradientSteps(step_size=0.2),
    "mixture step of size 0.2": fp.MixtureStep(step_size=0.2),
}
climbed, height_of = {}, jax.jit(potential)
for name, learner in roads.items():
    for T in (0.5, 1.6):
        loop = fp.Loop(sampler=fp.Temperature(T), learner=learner)
        height = height_of(fp.run(loop, five, 30, progress=False).value, T)
        climbed[name, T] = float(jnp.diff(height).min())
        print(f"{name:30} T = {T}: Φ from {height[0]:.4f} to {height[-1]:.4f}", end="")
        print(f", smallest gain in a generation {climbed[name, T]:.1e}")

# %% [markdown]
# ## Real text
#
# The characters of Shakespeare's plays at $T=1/2$, trained by full-batch gradient descent with
# steps of size 1. How probable is the blank, the mode, after five generations?

# %%
characters = character_counts(texts.shakespeare())
logits0 = jnp.log(jnp.asarray(characters.counts, float))
mode = {}
print("steps per generation   on itself   lineage")
for steps in (1, 30):
    for how in ("last", "initial"):
        loop = fp.Loop(
            sampler=fp.Temperature(0.5),
            learner=fp.GradientSteps(step_size=1.0, num_steps=steps, start=how),
        )
        after = fp.run(loop, logits0, 5, save_at=[5], progress=False).value[0]
        mode[steps, how] = float(simplex.mode_probability(after))
    print(f"{steps:20} {mode[steps, 'last']:11.4f} {mode[steps, 'initial']:9.4f}")
ideal = float(simplex.mode_probability(tempering.logits(logits0, 0.5, 5)))
initial = float(simplex.mode_probability(logits0))
print(f"to the minimum {ideal:17.4f} {ideal:9.4f}     (at the start {initial:.4f})")

# %% [markdown]
# The lineage that was trained for a few steps has hardly heard of the collapse.

# %% [markdown]
# ## What was shown

# %%
for (label, _), verdict in verdicts.items():
    assert verdict.passed, f"{label}: {verdict.summary}"
assert {label for label, _ in verdicts} == {
    "flow.multiplier",
    "flow.finite_training",
    "flow.duality",
    "flow.uniform_rate",
    "flow.collapse_tail",
    "flow.losers_equalise",
    "flow.potential",
}
assert residual == 0, "the limit of speed"
elapsed = generations * taus[:, None]
assert np.all(tuned > off / (1 + 2 * off * elapsed)), "faster than any teacher can lead"
assert np.all(lineage > bound[:, None])
law = np.stack([flow.finite_training(3, tau, generations) for tau in taus])
assert np.all(np.abs(tuned[:, -1] / law[:, -1] - 1) < 0.05), "claim 4: not the power law"
assert np.all(refits[-1] < 1e-7 * tuned[:, -1]), "claim 4: refits are double-exponential"
assert same < 1e-9, "claim 7: ideal training must forget its start"
assert np.all(np.abs(lineage[:, -1] / lineage[:, -4] - 1) < 1e-5), "claim 7: lineages stop"
assert np.all(lineage[1:, -1] > 20 * tuned[1:, -1]), "claim 7: fine-tuning goes on"
assert np.all(np.abs(lineage[2:, -1] / one_hot[2:] - 1) < 0.01)
assert abs(found / predicted - 1) < 1e-3
assert abs(slope + flow.losers_equalise(5)) < 2e-3
assert abs(tail[-1] / flow.collapse_tail(5, 1e6) - 1) < 1e-3
assert min(climbed.values()) > -1e-12, "some road led down"
assert initial < mode[1, "initial"] < mode[1, "last"]
assert mode[30, "initial"] < mode[30, "last"] < ideal
print("all assertions hold")
