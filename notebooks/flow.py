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
# ## What is asked
#
# Tempering is what becomes of a model whose every generation is trained to the minimum. Real
# training stops. With infinitely many samples and small steps it is a flow,
#
# $$\frac{d\theta}{d\tau} = p^* - p,$$
#
# where $p^*$ is the distribution of the data and the time $\tau$ is learning rate × steps. Two
# claims depend on when it stops:
#
# - **Claim 4.** At $T<1$ the model collapses to its mode, double-exponentially. *Only if training
#   is unbounded: with a time $\tau$ for each of $t$ generations the collapse is $1/(t\tau)$.*
# - **Claim 7.** The same holds for a lineage, where each generation trains the next from scratch,
#   as for one model that is fine-tuned on itself. *With ideal training. With finite training one
#   goes on and the other stops.*

# %%
import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import sympy as sp
from IPython.display import display

import fixedpoint as fp
from fixedpoint import confront, simplex
from fixedpoint.inputs import character_counts
from fixedpoint.laws import flow, online, tempering
from fixedpoint.laws.equation import equations
from fixedpoint.potential import potential
from paper import data as texts
from paper import press

plt.style.use(press.PAPER / "paper.mplstyle")
plt.rcParams["figure.dpi"] = 100
np.set_printoptions(precision=4, suppress=True)
register = equations()

# %% [markdown]
# ## The derivation
#
# **Step 1: a limit of speed.** How fast can *any* teacher lead a softmax model to an outcome $i$?
# Write $s=1-p_i$ for the probability elsewhere, and let $p^*$ be any distribution, changing in
# time or not. From $d\theta/d\tau=p^*-p$,
#
# $$\frac{dp_i}{d\tau} = 2p_is^2 - p_i\Big[(1-p^*_i)s + \sum_{j\ne i} p_jp^*_j
# + s^2 - \sum_{j\ne i}p_j^2\Big],$$
#
# and nothing in the bracket is negative. SymPy checks it for five outcomes:

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
limit_residual = sp.expand((speed - 2 * p[0] * s**2 + p[0] * bracket).subs(last))
print("residual:", limit_residual)

# %% [markdown]
# So $ds/d\tau\ge-2s^2$, and after a total training time $\tau$ at least this much is elsewhere:

# %%
tau, s0 = sp.symbols("tau s_0", positive=True)
elsewhere = sp.Function("s")
slowest = sp.dsolve(
    sp.Eq(elsewhere(tau).diff(tau), -2 * elsewhere(tau) ** 2),
    elsewhere(tau),
    ics={elsewhere(0): s0},
)
least = sp.lambdify((s0, tau), slowest.rhs)
display(slowest)

# %% [markdown]
# A double exponential cannot obey that for long: each refit needs more training than the one
# before. With finite training the collapse must be a power law. **Step 2: which one.** Let $m$ tied
# modes lead $K-m$ tied losers, each with the probability $p$. The gap $z$ of their logits grows at
# the speed of a mode minus that of a loser. A teacher at $T<1$ soon shows next to no losers
# ($p_T\to0$); then

# %%
K, m, t = sp.symbols("K m t", positive=True)
z, shown = sp.Symbol("z", positive=True), sp.Symbol("p_T", positive=True)
loser = 1 / (m * sp.exp(z) + K - m)
mode = sp.exp(z) * loser
gap_speed = ((1 - (K - m) * shown) / m - mode) - (shown - loser)
loser_speed = (sp.diff(loser, z) * gap_speed).subs(shown, 0)
share = sp.Symbol("p", positive=True)
tail_residual = sp.simplify(loser_speed - (-K * loser**2 * mode))
display(sp.Eq(sp.Symbol(r"\dot{z}"), sp.simplify(gap_speed.subs(shown, 0))))
display(sp.Eq(sp.Symbol(r"\dot{p}"), -K * share**2 * sp.Symbol("P")))
print("residual:", tail_residual)

# %% [markdown]
# with $P\to1/m$ the probability of each mode. In the time $t\tau$ of $t$ generations this leads to

# %%
lost = sp.Function("p")
late = sp.dsolve(sp.Eq(lost(tau).diff(tau), -K / m * lost(tau) ** 2), lost(tau))
power_law = sp.limit(late.rhs * tau, tau, sp.oo) / tau
sp.Eq(sp.Symbol("{1-P_M}"), (K - m) * power_law.subs(tau, t * tau))

# %% [markdown]
# **Step 3: small logits.** Near the uniform model, $\mathrm{softmax}(\theta)\approx1/K+\theta/K$,
# and a generation that starts from the last model multiplies the logits by

# %%
T = sp.Symbol("T", positive=True)
factor = sp.Function("m")
multiplier = sp.dsolve(
    sp.Eq(factor(tau).diff(tau), (1 / T - factor(tau)) / K), factor(tau), ics={factor(0): 1}
)
display(multiplier)

# %% [markdown]
# A lineage starts from $\theta_0$ instead, so that $\theta_{t+1} = E\theta_0 + (1-E)\theta_t/T$,
# $E=e^{-\tau/K}$. Unless $\tau$ is long, it comes to rest:

# %%
E, theta0, rest = sp.symbols("E theta_0 theta", positive=True)
[at_rest] = sp.solve(sp.Eq(rest, E * theta0 + (1 - E) * rest / T), rest)
display(sp.Eq(sp.Symbol(r"\theta_\infty"), sp.simplify(at_rest)))

# %% [markdown]
# **Step 4: the model as its own teacher.** The other extreme: the data come from the model as it
# is at each moment, $d\theta/d\tau=\sigma(\theta/T)-\sigma(\theta)$, with $\sigma$ for the softmax.
# With $\varphi=\theta/T$ the right-hand side is $-[\sigma(T\varphi)-\sigma(\varphi)]$, the flow at
# $1/T$ backwards: hot and cold are one flow in opposite directions of time. The register has this
# proof:

# %%
display(register["online.duality"], *register["online.duality"].steps())

# %% [markdown]
# **Step 5: one potential.** What do refits, the flow to a frozen teacher, the online flow and the
# mixture flow have in common? They climb
# $\Phi(\theta)=T\,\mathrm{lse}(\theta/T)-\mathrm{lse}(\theta)$:

# %%
display(register["geometry.potential"])
print(confront.prove(register["geometry.potential"]).summary)

# %% [markdown]
# ## The closed form
#
# The multiplier of a generation, between nothing learned and a refit; the power law; and the gap of
# two outcomes under the online flow, by Lambert's $W$:

# %%
for time in (0.1, 1.0, 10.0, np.inf):
    print(f"τ = {time:4}: logits times {float(flow.multiplier(0.5, time, 3)):.4f}")
print(
    f"off the mode after 100 generations of τ = 1: {float(flow.finite_training(3, 1.0, 100)):.5f}"
)
times = np.array([0.0, 1.0, 10.0, 100.0])
print("gap of two outcomes, T = 1/2:", np.asarray(online.two_outcomes(1.0, 0.5, times)))

# %% [markdown]
# ## The confrontation
#
# **Claim 4.** The loop itself, at $T=1/2$, with a training time $\tau$ in each generation: once for
# a model that goes on from where it is (`start="last"`), once for a lineage that is trained from
# the initial model each time (`start="initial"`).

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
# power law. Times $K t\tau/(K-1)$, the probability off the mode tends to 1:

# %%
for row, tau in enumerate(taus):
    ratio = tuned[row] / flow.finite_training(3, tau, generations)
    shown = ", ".join(f"{float(ratio[i]):.4f}" for i in (10, 15, 20, -1))
    print(f"τ = {tau:6g}: {shown} in generations {generations[[10, 15, 20, -1]]}")

# %% [markdown]
# **Claim 7.** With ideal training the start is forgotten. Gradient descent, plain steps of size 1,
# many of them, from the initial model every time:

# %%
thorough = fp.GradientSteps(step_size=1.0, num_steps=1000, start="initial")
scratch = fp.run(
    fp.Loop(sampler=fp.Temperature(0.8), learner=thorough), start, 5, progress=False
).value
law = jnp.stack([tempering.logits(start, 0.8, n) for n in range(6)])
same = float(jnp.abs(simplex.centre(scratch) - simplex.centre(law)).max())
print("difference between the lineage's logits and θ/Tⁿ: below 1e-9:", same < 1e-9)

# %% [markdown]
# With finite training the speed limit holds for each generation anew: the circles above come to
# rest. For long training they rest close to what training on the mode alone reaches in that time;
# for short training at the fixed point of step 3:

# %%
bound = off / (1 + 2 * off * taus)
one_hot = simplex.tail_probability(flow.frozen_one_hot_target(start, taus, 0))
print("     τ   lineage at rest   mode alone   no faster than")
for row, tau in enumerate(taus):
    print(f"{tau:6g} {lineage[row, -1]:17.6f} {float(one_hot[row]):12.6f} {bound[row]:16.6f}")

tiny = 1e-4 * start
short = fp.GradientSteps(step_size=0.001, num_steps=1000, start="initial")
loop = fp.Loop(sampler=fp.Temperature(0.5), learner=short)
final = fp.run(loop, tiny, 60, save_at=[60], progress=False).value[0]
predicted = float(at_rest.subs({theta0: 1, T: 0.5, E: np.exp(-1 / 3)}))
found = float(simplex.centre(final)[0] / tiny[0])
print(f"τ = 1, K = 3, T = 1/2: small logits at rest times {found:.4f}, predicted {predicted:.4f}")

# %% [markdown]
# **The model as its own teacher** is the opposite of refits in one thing, the losers' fate. Refits
# drive all logits apart; the online flow makes the losers equal, while all of them fall behind.

# %%
five = simplex.logits(jnp.array([0.3, 0.26, 0.2, 0.14, 0.1]))
times = np.geomspace(0.1, 1e6, 60)
moving = np.asarray(fp.flow(fp.Loop(sampler=fp.Temperature(0.5)), five, times).value)
refitted = np.asarray([tempering.logits(five, 0.5, n) for n in range(8)])

fig, (left, right) = plt.subplots(1, 2, figsize=(6.6, 2.7))
left.plot(refitted[:, 1:] - refitted[:, :1], "o-", markersize=3, linewidth=1)
left.set(title="refits", xlabel="generation", ylabel="logit below the mode's (nats)")
right.semilogx(times, moving[:, 1:] - moving[:, :1], linewidth=1)
right.set(title="own teacher", xlabel="time (rate × steps)")
_ = right.legend([f"outcome {i}" for i in range(2, 6)])

# %%
gaps = moving[:, 1] - moving[:, -1]
slope = np.polyfit(np.log(times[-12:]), np.log(gaps[-12:]), 1)[0]
tail = np.asarray(simplex.tail_probability(moving))
print(f"gap between the first and the last loser: {gaps[0]:.3f} at first, {gaps[-1]:.3f} at last")
print(f"its slope in log τ: {slope:.4f}, predicted {-online.losers_equalise(5):.4f}")
print(
    f"probability off the mode × K τ/(K-1) at last: {tail[-1] / online.collapse_tail(5, 1e6):.5f}"
)

# %% [markdown]
# **The potential** is climbed by every learner in every generation:

# %%
roads = {
    "refit": fp.Refit(),
    "gradient step of size 0.2": fp.GradientSteps(step_size=0.2),
    "mixture step of size 0.2": fp.MixtureStep(step_size=0.2),
}
climbed, height_of = {}, jax.jit(potential)
for name, learner in roads.items():
    for temperature in (0.5, 1.6):
        loop = fp.Loop(sampler=fp.Temperature(temperature), learner=learner)
        height = height_of(fp.run(loop, five, 30, progress=False).value, temperature)
        climbed[name, temperature] = float(jnp.diff(height).min())
        print(f"{name:26} T = {temperature}: Φ from {height[0]:.4f} to {height[-1]:.4f}", end="")
        print(", never down:", climbed[name, temperature] > -1e-12)

# %% [markdown]
# **The verdicts** of the equations used here, made again:

# %%
verdicts = {}
for label in (
    "flow.multiplier",
    "flow.finite_training",
    "online.duality",
    "online.uniform_rate",
    "online.collapse_tail",
    "online.losers_equalise",
    "geometry.potential",
):
    verdicts[label] = confront.verify(label)
    display(register[label], verdicts[label])

# %% [markdown]
# ### On real text
#
# The characters of Shakespeare's plays at $T=1/2$, trained by full-batch gradient descent with
# steps of size 1. How probable is the blank, the mode, after five generations?

# %%
characters = character_counts(texts.shakespeare())
logits0 = jnp.log(jnp.asarray(characters.counts, float))
blank = {}
print("steps per generation   on itself   lineage")
for steps in (1, 30):
    for how in ("last", "initial"):
        learner = fp.GradientSteps(step_size=1.0, num_steps=steps, start=how)
        loop = fp.Loop(sampler=fp.Temperature(0.5), learner=learner)
        after = fp.run(loop, logits0, 5, save_at=[5], progress=False).value[0]
        blank[steps, how] = float(simplex.mode_probability(after))
    print(f"{steps:20} {blank[steps, 'last']:11.4f} {blank[steps, 'initial']:9.4f}")
ideal = float(simplex.mode_probability(tempering.logits(logits0, 0.5, 5)))
initial = float(simplex.mode_probability(logits0))
print(f"to the minimum {ideal:17.4f} {ideal:9.4f}     (at the start {initial:.4f})")

# %% [markdown]
# The lineage that was trained for a few steps has hardly heard of the collapse.

# %% [markdown]
# ## Where it breaks
#
# **A temperature no longer undoes it.** A refit multiplies all logits by one number. Finite
# training does not (unless the logits take only two values), so that raising the temperature
# brings back the original only nearly: claim 5 holds for ideal training alone. The third part of
# the decomposition is what no temperature restores.

# %%
beyond = {}
for name, learner in {"refit": fp.Refit(), "flow for τ = 1": fp.GradientFlow(time=1.0)}.items():
    loop = fp.Loop(sampler=fp.Temperature(0.5), learner=learner)
    p = fp.run(loop, five, 12, progress=False).value[jnp.array([0, 2, 6, 12])]
    parts = simplex.decomposition(p, five)
    beyond[name] = np.abs(np.asarray(parts.rest))
    print(f"{name:15} generations 0, 2, 6, 12: not undone by any temperature {beyond[name]}")

# %% [markdown]
# **The power law is late.** With $\tau=1000$ the first generations are refits; with many outcomes
# nothing happens for a long time, then one leader takes over suddenly. At $T=1/2$ that time is
# known, and it is of the order of $K$:

# %%
display(register["online.blow_up"])
for K in (10, 1000, 50_000):
    print(
        f"K = {K:6,}: take-over after a time {float(online.blow_up(1.0, K)):,.1f} from a gap of 1"
    )

# %% [markdown]
# ## Exercises
#
# The cell after each exercise holds an answer, folded away; it runs, and asserts what it says.
#
# ### Exercise 1
#
# Two outcomes, nearly even odds, $T=1/2$, and a training time $\tau=2\log2$ in each generation. By
# how much does one generation multiply the gap of the logits? How much would a refit?

# %% tags=["answer"]
# E = e^{-τ/K} = 1/2: a weight of 1/2 on 1/T = 2 and 1/2 on 1, together 3/2. A refit: 2.
assert np.isclose(float(flow.multiplier(0.5, 2 * np.log(2), 2)), 1.5)
assert np.isclose(float(flow.multiplier(0.5, np.inf, 2)), 2.0)

# %% [markdown]
# ### Exercise 2
#
# One of two outcomes has the probability 1/2. How much training time does it need *at least*, with
# the best of all teachers, to have 99%? How close does a teacher come who shows it alone?

# %% tags=["answer"]
# The limit of speed: s = s0/(1 + 2 s0 τ) is 0.01 at τ = (1/0.01 - 1/0.5)/2 = 49.
# Shown alone, the gap obeys z + e^z = 1 + 2τ: z = log 99 at τ = 51.3.
at_least = (1 / 0.01 - 1 / 0.5) / 2
alone = (np.log(99) + 99 - 1) / 2
reached = simplex.probabilities(flow.frozen_one_hot_target(jnp.zeros(2), alone, 0))
assert np.isclose(least(0.5, at_least), 0.01)
assert at_least < alone
assert np.isclose(float(reached[0]), 0.99)
print(f"at least {at_least:.1f}, alone {alone:.1f}")

# %% [markdown]
# ### Exercise 3
#
# A model of two outcomes with a gap of 1 was its own teacher at $T=1/2$ for a time 3. Bring it
# back, using only flows at temperatures above 1 and a change of the scale of the logits.

# %% tags=["answer"]
# Duality: divide the logits by T = 1/2, flow at 1/T = 2 for the time 3/T = 6, multiply by T.
cold = online.two_outcomes(1.0, 0.5, 3.0)
back = 0.5 * online.two_outcomes(cold / 0.5, 2.0, 6.0)
assert float(cold) > 1
assert np.isclose(float(back), 1.0, rtol=1e-12)
print(f"gap 1 → {float(cold):.4f} → {float(back):.9f}")

# %% [markdown]
# ## What was shown

# %%
for label, verdict in verdicts.items():
    assert verdict.passed, f"{label}: {verdict}"
assert limit_residual == tail_residual == 0, "a step of the derivation fails"
elapsed = generations * taus[:, None]
assert np.all(tuned > off / (1 + 2 * off * elapsed)), "faster than any teacher can lead"
assert np.all(lineage > bound[:, None])
power = np.stack([flow.finite_training(3, tau, generations) for tau in taus])
assert np.all(np.abs(tuned[:, -1] / power[:, -1] - 1) < 0.05), "claim 4: not the power law"
assert np.all(refits[-1] < 1e-7 * tuned[:, -1]), "claim 4: refits are double-exponential"
assert same < 1e-9, "claim 7: ideal training must forget its start"
assert np.all(np.abs(lineage[:, -1] / lineage[:, -4] - 1) < 1e-5), "claim 7: lineages stop"
assert np.all(lineage[1:, -1] > 20 * tuned[1:, -1]), "claim 7: fine-tuning goes on"
assert np.all(np.abs(lineage[2:, -1] / one_hot[2:] - 1) < 0.01)
assert abs(found / predicted - 1) < 1e-3
assert abs(slope + online.losers_equalise(5)) < 2e-3
assert abs(tail[-1] / online.collapse_tail(5, 1e6) - 1) < 1e-3
assert min(climbed.values()) > -1e-12, "some road led down"
assert initial < blank[1, "initial"] < blank[1, "last"]
assert blank[30, "initial"] < blank[30, "last"] < ideal
assert beyond["refit"].max() < 1e-12 < 1e-3 < beyond["flow for τ = 1"].max()
assert {"flow.finite_training", "online.collapse_tail", "geometry.potential"} <= set(verdicts)
print("all assertions hold")
