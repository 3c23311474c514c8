# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Tempering: very many samples, ideal training
#
# A model is sampled, trained on its samples, and sampled again. How does it end?
#
# Three of the paper's seven claims are about the ideal case, infinitely many samples and a
# learner that reaches its minimum:
#
# - **Claim 1.** At temperature 1 nothing changes, for ever.
# - **Claim 4.** At $T<1$ each generation multiplies the logits by $1/T$ and the model collapses
#   to its mode; at $T>1$ it becomes uniform. One generation gives the distribution at the chosen
#   temperature.
# - **Claim 5.** The original can be recovered by raising the temperature: to sharpen is not to
#   lose modes.
#
# Each is derived and confronted with the simulated loop; then we look for where it breaks, and
# try it on real text.

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
from fixedpoint.inputs import character_counts, next_character_counts, word_counts
from fixedpoint.laws import tempering
from fixedpoint.laws.equation import REGISTER
from fixedpoint.laws.tempering import derivation
from paper import data as texts

plt.style.use(Path(texts.__file__).with_name("paper.mplstyle"))
plt.rcParams["figure.dpi"] = 100
np.set_printoptions(precision=4, suppress=True)


def statement(label):
    """Show a registered equation, from its SymPy object."""
    equation = REGISTER[label]
    print(f"{label} ({equation.kind}): {equation.statement}")
    display(Math(equation.latex()))


def proof(label):
    """Run the steps of its proof."""
    verdict = confront.prove(REGISTER[label])
    for claim, step in verdict.details.items():
        print("✓" if step["closes"] else "✗", claim)
    return verdict


def confrontation(label):
    """Run the loop that it describes, compare, and let the same data judge the near misses."""
    verdict = confront.confront(REGISTER[label])
    print(f"{verdict.status}: {verdict.summary}")
    return verdict


verdicts = {}

# %% [markdown]
# ## What one generation does
#
# The model is $p=\mathrm{softmax}(\theta)$. Samples at temperature $T$ come from $p_T \propto
# p^{1/T}$; the learner minimises the cross-entropy $\mathrm{CE}(p_T, x) = -\sum_i p_{T,i} \log
# \mathrm{softmax}(x)_i$ over the logits $x$. With three outcomes, its gradient is

# %%
theta = derivation.model(3)
target = sp.symbols("q1:4", positive=True)
x = sp.symbols("x1:4", real=True)
slope = derivation.slope_of_loss(target, x)
sp.simplify(slope[0].subs(target[2], 1 - target[0] - target[1]))

# %% [markdown]
# that is, $\mathrm{softmax}(x)-p_T$. At the model's own logits this is $p - p_T$:

# %%
statement("tempering.fixed_point")
verdicts["tempering.fixed_point", "proof"] = proof("tempering.fixed_point")

# %% [markdown]
# ## Claim 1: at temperature 1 nothing changes
#
# $p_1=p$, so the gradient is 0 for *every* model. It does not matter how the learner uses it: a
# full refit, a gradient flow, ten clumsy gradient steps or a step towards the samples'
# distribution all stay where they are. (With infinitely many samples. See the end for finitely
# many.)

# %%
start = simplex.logits(jnp.array([0.5, 0.3, 0.2]))
learners = {
    "full refit": fp.Refit(),
    "gradient flow for a time 5": fp.GradientFlow(time=5.0),
    "10 gradient steps of size 0.5": fp.GradientSteps(step_size=0.5, num_steps=10),
    "mixture step of size 0.3": fp.MixtureStep(step_size=0.3),
}
drift = {}
for name, learner in learners.items():
    runs = fp.run(fp.Loop(learner=learner), start, 50, progress=False)
    drift[name] = float(jnp.abs(simplex.centre(runs.value[-1]) - start).max())
    print(f"{name:32} largest change of a logit after 50 generations: {drift[name]:.0e}")

# %%
verdicts["tempering.fixed_point", "process"] = confrontation("tempering.fixed_point")

# %% [markdown]
# ## Claim 4: one generation divides the logits by $T$
#
# $\mathrm{softmax}(x)=p_T$ has the solution $x=\theta/T$, unique up to a constant. By induction:

# %%
statement("tempering.refit")
statement("tempering.logits")
verdicts["tempering.logits", "proof"] = proof("tempering.logits")

# %% [markdown]
# The process itself: the loop is run generation by generation and compared with the closed form.
# `fp.solve` finds the law that governs a loop.

# %%
fig, ax = plt.subplots(figsize=(5.2, 2.9))
gap = 0.0
blues_to_reds = ("#3f90da", "#7fbbe9", "0.3", "#e8705c", "#bd1f01")
for T, colour in zip((0.8, 0.9, 1.0, 1.1, 1.25), blues_to_reds, strict=True):
    loop = fp.Loop(sampler=fp.Temperature(T))
    runs = fp.run(loop, start, 24, observe=simplex.entropy, progress=False)
    law = fp.solve(loop, start)
    closed_form = simplex.entropy(jnp.stack([law.logits(n) for n in range(25)]))
    gap = max(gap, float(jnp.abs(runs.value - closed_form).max()))
    ax.plot(closed_form, linewidth=1, color=colour)
    ax.plot(runs.generation, runs.value, "o", markersize=3, color=colour, label=f"$T={T}$")
ax.set(xlabel="generation", ylabel="entropy (nats)")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
print(f"lines: closed form, dots: simulated loop; largest difference {gap:.0e} nats")

# %% [markdown]
# The numbers can be checked by hand. From $(0.5, 0.3, 0.2)$ at $T=0.8$:

# %%
for n in (0, 1, 5, 10):
    p = simplex.probabilities(tempering.logits(start, 0.8, n))
    print(f"generation {n:2}: {np.asarray(p)}")
by_hand = np.array([0.5, 0.3, 0.2]) ** (1 / 0.8)
print(f"generation 1 by hand: {by_hand / by_hand.sum()}")

# %%
verdicts["tempering.logits", "process"] = confrontation("tempering.logits")

# %% [markdown]
# ### How fast: double-exponentially to the mode, exponentially to uniform

# %%
for label in (
    "tempering.mode_limit",
    "tempering.generations_to_collapse",
    "tempering.uniform_limit",
):
    statement(label)
    verdicts[label, "proof"] = confront.prove(REGISTER[label])
    print("proof:", verdicts[label, "proof"].summary, "\n")

# %% [markdown]
# The prefactor is *runners-up over modes*. Two modes that are exactly equal share the limit; the
# smallest difference between them grows by $1/T$ per generation and decides in the end.

# %%
tie = jnp.array([1.0, 1.0, 0.3, 0.3, 0.3])
near_tie = tie.at[1].add(-1e-6)
for n in (0, 10, 40, 80):
    exact, near = (simplex.probabilities(tempering.logits(x, 0.8, n)) for x in (tie, near_tie))
    print(f"generation {n:2}: exact tie {np.asarray(exact)}   near tie {np.asarray(near)}")

# %% [markdown]
# ## Claim 5: raise the temperature, and the original is back
#
# All differences of logits were multiplied by the same number, so one temperature undoes it:

# %%
statement("tempering.recovery")
verdicts["tempering.recovery", "proof"] = proof("tempering.recovery")

# %%
collapsed = fp.run(fp.Loop(sampler=fp.Temperature(0.8)), start, 20, progress=False).value[-1]
back = simplex.probabilities(simplex.temper(collapsed, tempering.recovery(0.8, 20)))
print("generation 20 at T = 0.8:     ", np.asarray(simplex.probabilities(collapsed)))
print(f"sampled at temperature {tempering.recovery(0.8, 20):.1f}:  ", np.asarray(back))

# %%
verdicts["tempering.recovery", "process"] = confrontation("tempering.recovery")

# %% [markdown]
# ### Sharpening against losing modes
#
# Any change $p_0 \to p$ splits exactly into three parts:
#
# $$\mathrm{KL}(p\|p_0) = \underbrace{-\log p_0(S)}_{\text{lost modes}}
# + \underbrace{\mathrm{KL}(p_b\|p_0|_S)}_{\text{temperature}}
# + \underbrace{\mathrm{KL}(p\|p_b)}_{\text{the rest}},$$
#
# $S$ being what $p$ still has. Only the middle part is undone by a temperature, $b$ if $b>0$.

# %%
loops = {
    "T = 0.8": fp.Loop(sampler=fp.Temperature(0.8)),
    "top 3": fp.Loop(sampler=fp.TopK(3)),
    "nucleus 0.9": fp.Loop(sampler=fp.Nucleus(0.9)),
    "T = 0.8, then top 3": fp.Loop(sampler=(fp.Temperature(0.8), fp.TopK(3))),
    "T = 0.8, 20% real data": fp.Loop(
        sampler=fp.Temperature(0.8),
        corpus=fp.Mixed(real=jnp.array([0.4, 0.25, 0.2, 0.1, 0.05]), fraction=0.2),
    ),
}
five = simplex.logits(jnp.array([0.4, 0.25, 0.2, 0.1, 0.05]))
parts = {}
print(
    f"{'after 3 generations':26}{'lost modes':>12}{'temperature':>13}{'rest':>9}{'undone by':>11}"
)
for name, loop in loops.items():
    p = fp.run(loop, five, 3, progress=False).value[-1]
    parts[name] = simplex.decomposition(p, five)
    lost, tempered, rest, _, undo = map(float, parts[name])
    print(f"{name:26}{lost:12.4f}{tempered:13.4f}{abs(rest):9.4f}{undo:11.3f}")

# %% [markdown]
# ## Where it breaks
#
# **Storage.** Temperature loses no mode, but a number format can. Stored as probabilities, the
# rarest outcome underflows after $\log(\lambda/R)/\log(1/T)$ generations, $R$ being the range of
# the initial logits. Above $T=1$ nothing underflows, but the way back amplifies the rounding
# errors.

# %%
statement("tempering.storage_cold")
statement("tempering.storage_hot")
verdicts["tempering.storage_cold", "process"] = confrontation("tempering.storage_cold")

# %% [markdown]
# **Finitely many samples.** With 100 samples in each generation the model drifts even at $T=1$,
# and an outcome that is not drawn is lost for ever. Ten lineages, 60 generations:

# %%
runs = fp.run(
    fp.Loop(corpus=fp.Fresh(num_samples=100)),
    five,
    60,
    key=jax.random.key(1),
    num_replicates=10,
    observe={"alive": simplex.num_surviving, "mode": simplex.mode_probability},
    save_at=[0, 20, 40, 60],
    progress=False,
)
for n, alive in zip(runs.generation, runs.value["alive"], strict=True):
    print(f"generation {int(n):2}: outcomes alive in each lineage {np.asarray(alive)}")
finite_loss = runs.value["alive"]

# %% [markdown]
# **A student that cannot scale its logits.** Low rank is harmless: if a student can represent
# $\theta$ it can represent $\theta/T$. A frozen base plus an adapter cannot, and the multiplier
# of the trained slope is then not $1/T$:

# %%
statement("tempering.cone")
for T in (0.9, 0.5, 0.25):
    print(f"T = {T}: unrestricted {1 / T:.3f}, frozen base {float(tempering.cone(1 / T)):.3f}")

# %% [markdown]
# ## Real text
#
# Characters and words of 38 plays attributed to Shakespeare. What do twenty generations do?

# %%
text = texts.shakespeare()
characters, words = character_counts(text), word_counts(text)
print(f"{len(text):,} characters over {len(characters.outcomes)} symbols, ", end="")
print(f"{words.counts.sum():,} words of which {len(words.outcomes):,} are different")


def after(logits, T, generations=20):
    """Logits after some generations, by running the loop."""
    loop = fp.Loop(sampler=fp.Temperature(T))
    return fp.run(
        loop, jnp.asarray(logits), generations, save_at=[generations], progress=False
    ).value[0]


def summary(logits, outcomes, count=4):
    """Effective number and the most probable outcomes."""
    p = np.asarray(simplex.probabilities(logits))
    top = ", ".join(f"{outcomes[i]!r} {p[i]:.2g}" for i in np.argsort(-p, kind="stable")[:count])
    return f"effective number {float(simplex.effective_number(logits)):9.1f}   {top}"


effective = {}
for name, counts in {"characters": characters, "words": words}.items():
    logits0 = np.log(counts.counts)
    print(f"\n{name}")
    for T in (0.9, 1.0, 1.1):
        logits = after(logits0, T)
        effective[name, T] = float(simplex.effective_number(logits))
        print(f"  T = {T}: {summary(logits, counts.outcomes)}")
    effective[name, 0] = float(simplex.effective_number(logits0))

# %% [markdown]
# ### Every character's next character
#
# A table of 80 conditional distributions is a batch: the law holds row by row. Pairs that never
# occur have the logit $-\infty$ and stay there. We temper the table and let it write.

# %%
rows = next_character_counts(text)
with np.errstate(divide="ignore"):
    table = jnp.log(jnp.asarray(rows.counts, float))


def write(logits, length=70):
    """A line of text from a table of next characters."""
    keys = jax.random.split(jax.random.key(7), length)
    steps = jax.lax.scan(lambda c, k: 2 * (jax.random.categorical(k, logits[c]),), 0, keys)[1]
    return "".join(rows.outcomes[int(c)] for c in steps).replace("\n", " ")


for T in (0.9, 1.0, 1.1):
    tempered = after(table, T)
    entropy = float(simplex.entropy(tempered).mean())
    print(f"T = {T}: {entropy:.2f} nats per row   {write(tempered)}")
lost_pairs = jnp.isneginf(after(table, 1.1)) == jnp.isneginf(table)

# %% [markdown]
# ### The next word, among 126,053
#
# A trigram model of American English. After *not to*, two words are almost equally likely.

# %%
vocabulary = texts.vocabulary()
next_word = texts.next_word_distribution("not to")
print(f"{len(next_word):,} outcomes, {np.isfinite(next_word).sum():,} with a probability")
for T in (0.9, 1.0, 1.1):
    print(f"T = {T}: {summary(after(next_word, T), vocabulary, 3)}")

# %% [markdown]
# A near tie takes long to be decided, even at $T=0.9$, while everything else is already gone. But
# gone is not lost: at temperature $0.9^{-20} = 8.2$ the original distribution is back, with all
# its tail.

# %%
sharp = after(next_word, 0.9)
restored = simplex.temper(sharp, tempering.recovery(0.9, 20))
print(f"restored: {summary(restored, vocabulary, 3)}")
alive = np.isfinite(next_word)
error = np.abs(
    np.asarray(simplex.log_probabilities(restored))[alive]
    - np.asarray(simplex.log_probabilities(next_word))[alive]
).max()
print(f"largest error of a log-probability: {error:.0e}")

# %% [markdown]
# ### When is the tail unrecoverable?
#
# The logits above survive for hundreds of generations. Stored as float32 *probabilities*, the
# tail of these three distributions underflows much sooner at $T=0.9$ (the prediction holds within
# one generation: it takes the mode for dominant, which it is not yet for the next word):

# %%
horizon = {}
smallest = -float(np.log(np.finfo(np.float32).tiny))
distributions = {
    "characters": np.log(characters.counts),
    "words": np.log(words.counts),
    "next word": next_word[alive],
}
for name, logits0 in distributions.items():
    horizon[name] = float(tempering.storage_cold(np.ptp(logits0), 0.9, smallest))
    around = [int(horizon[name]) + shift for shift in (-1, 0, 1)]
    stored = [
        simplex.probabilities(tempering.logits(logits0, 0.9, n)).astype(jnp.float32) for n in around
    ]
    found = [bool((p > 0).all()) for p in stored]
    print(f"{name:11} range {np.ptp(logits0):4.1f}: {horizon[name]:5.2f} generations; ", end="")
    print(f"all there in {around}: {found}")
    horizon[name] = found

# %% [markdown]
# ## What was shown

# %%
for (label, _), verdict in verdicts.items():
    assert verdict.passed, f"{label}: {verdict.summary}"
assert {label for label, _ in verdicts} == {
    "tempering.fixed_point",
    "tempering.logits",
    "tempering.mode_limit",
    "tempering.generations_to_collapse",
    "tempering.uniform_limit",
    "tempering.recovery",
    "tempering.storage_cold",
}
assert max(drift.values()) < 1e-12, "claim 1: something moved at T = 1"
assert gap < 1e-12, "claim 4: the loop departs from the closed form"
assert jnp.allclose(back, jnp.array([0.5, 0.3, 0.2]), rtol=1e-12), "claim 5: not restored"
assert parts["T = 0.8"].lost_modes == 0, "temperature loses no mode"
assert abs(parts["T = 0.8"].recovery_temperature - 0.8**-3) < 1e-9
assert parts["top 3"].lost_modes > 0, "truncation does"
assert abs(parts["top 3"].temperature) < 1e-12
assert finite_loss[-1].min() < 5, "finitely many samples lose modes"
for name in ("characters", "words"):
    assert effective[name, 0.9] < 3 < effective[name, 1.0] < effective[name, 1.1]
    assert abs(effective[name, 1.0] / effective[name, 0] - 1) < 1e-9
assert lost_pairs.all(), "what never occurs stays lost, and nothing else is"
assert error < 1e-9, "the tail of the next word is back"
assert all(found[0] and not found[-1] for found in horizon.values())
print("all assertions hold")
