# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Resampling: a refit to finitely many own samples
#
# ## What is asked
#
# A generation draws $n$ samples of the model, counts them, and takes the frequencies as the next
# model:
#
# $$N\sim\mathrm{Multinomial}(n,\,p_T),\qquad p'=N/n,\qquad p_T\propto p^{1/T}.$$
#
# Three of the seven claims meet their limit here:
#
# - **Claim 1.** At temperature 1 nothing changes. True on average, and false of every single run.
# - **Claim 5.** What is sharpened can be recovered by raising the temperature. What was not drawn
#   cannot: its logit is $-\infty$, and $-\infty/T=-\infty$.
# - **Claim 6.** Mixed with real data, curated or verified, it may go otherwise. How much real data
#   is enough, and how often a verified model locks in a mistake, can be said exactly.
#
# How fast are outcomes lost? How many words of Shakespeare's are left after 1000 generations?
# What does a temperature change, or one real sample in a hundred, or a verifier?

# %%
import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import sympy as sp
from IPython.display import display

import fixedpoint as fp
from fixedpoint import chain, confront, simplex
from fixedpoint.inputs import word_counts
from fixedpoint.laws import (
    fixation,
    metastability,
    real_data,
    resampling,
    truncation,
    verifier,
)
from fixedpoint.laws.equation import equations
from paper import data as texts
from paper import press

plt.style.use(press.PAPER / "paper.mplstyle")
plt.rcParams["figure.dpi"] = 100
np.set_printoptions(precision=4, suppress=True)
register = equations()


def loop(num_samples, temperature=1.0):
    """A refit to n own samples, drawn at a temperature."""
    return fp.Loop(fp.Temperature(temperature), fp.Fresh(num_samples))


# %% [markdown]
# ## The derivation
#
# **Step 1: the moments.** The draws are independent, so that with two outcomes
# $\mathbb{E}\,e^{sN}=(q+pe^s)^n$. The first two moments, for any $n$:

# %%
n, k = sp.symbols("n k", positive=True, integer=True)
s = sp.Symbol("s", real=True)
p = sp.Symbol("p", positive=True)
generating = (1 - p + p * sp.exp(s)) ** n
first, second = (
    sp.simplify(sp.diff(generating, s, order).subs(s, 0) / n**order) for order in (1, 2)
)
display(sp.Eq(sp.Symbol(r"\mathbb{E}\,p'"), first))
display(
    sp.Eq(sp.Symbol(r"\mathbb{E}[p'(1-p')]/(p(1-p))"), sp.factor((first - second) / (p - p**2)))
)

# %% [markdown]
# The model is a martingale: nothing changes on average. But the chance that two samples differ
# falls by the factor $1-1/n$ in every generation. A bounded martingale converges; here it stops on
# one outcome, and on each with its initial probability. **Step 2: the ancestors.** Take the $k$-th
# power of $p'$: that is the chance that $k$ draws from the next model are all this outcome. Each of
# these draws is one of the $n$ samples, and two of them may be the same one. So the $k$ draws stand
# for fewer samples: as many as $k$ balls occupy of $n$ boxes. With
# $S_2$ Stirling's numbers, for four balls:

# %%
fourth = sp.simplify(sp.diff(generating, s, 4).subs(s, 0) / n**4)
stirling = sp.functions.combinatorial.numbers.stirling
occupied = {a: stirling(4, a) * sp.expand_func(sp.ff(n, a)) / n**4 for a in (1, 2, 3, 4)}
dual = sum(chance * p**a for a, chance in occupied.items())
duality_residual = sp.simplify(fourth - dual)
display(sp.Eq(sp.Symbol(r"\mathbb{E}\,p'^{\,4}"), dual))
print("residual:", duality_residual)

# %% [markdown]
# **Step 3: who survives.** Iterated, $n$ samples of generation $t$ have $A_{t-1}$ ancestors in the
# first generation: $n$ balls in $n$ boxes, then as many balls as boxes were occupied, and so on. An
# outcome is alive if one of these ancestors was drawn of it:
#
# $$\mathbb{E}\,\#\text{alive}=\sum_i\Big(1-\mathbb{E}\,(1-p_i)^{A_{t-1}}\Big).$$
#
# That is exact, for any number of outcomes, and needs nothing but the law of one number. So is the
# mean time until one outcome is left. **Step 4: the entropy.** The cross-entropy
# $-\sum p'\log p$ is linear in $p'$, whose mean is $p$. Hence, for every $n$,
# $\mathbb{E}\,S(p')=S(p)-\mathbb{E}\,\mathrm{KL}(p'\Vert p)$: each generation pays the divergence
# it makes, and all together they pay $S(p_0)$. To leading order this is half a nat per parameter
# and $n$ samples:

# %%
S = -p * sp.log(p) - (1 - p) * sp.log(1 - p)
toll = sp.simplify(p * (1 - p) / (2 * n) * sp.diff(S, p, 2))
sp.Eq(sp.Symbol(r"\mathbb{E}\,S(p')-S(p)"), toll, evaluate=False)

# %% [markdown]
# With two outcomes the entropy is used up after $2nS(p_0)$ generations. **Step 5: a temperature.**
# Near $T=1$, with $\kappa=n(1/T-1)$, the drift is $(\kappa/n)\,p(1-p)\log\frac{p}{1-p}$. A function
# $u$ of the model is a martingale if its slope is the exponential of the entropy:

# %%
kappa = sp.Symbol("kappa", real=True)
slope = sp.exp(2 * kappa * S)
drift = kappa * p * (1 - p) * sp.log(p / (1 - p))
generator = p * (1 - p) / 2 * sp.diff(slope, p) + drift * slope
scale_residual = sp.simplify(sp.expand_log(generator, force=True))
display(sp.Eq(sp.Symbol("u'"), slope))
print("residual:", scale_residual)

# %% [markdown]
# so the entropy is the potential: a well above $T=1$, a hill below. **Step 6: real data.** If each
# sample is real with the chance $a$, the variance about the real distribution $q$ settles where one
# generation reproduces it:

# %%
a, q, V = sp.symbols("a q V", positive=True)
balance = sp.Eq(V, (q * (1 - q) - (1 - a) ** 2 * V) / n + (1 - a) ** 2 * V)
settled = q * (1 - q) / (1 + (n - 1) * a * (2 - a))
immigration_residual = sp.simplify(sp.solve(balance, V)[0] - settled)
display(sp.Eq(V, settled))
print("residual:", immigration_residual)

# %% [markdown]
# ## The closed form
#
# The words of 38 plays attributed to Shakespeare, and a model of their frequencies that is
# retrained on as many words of its own:

# %%
counts = np.array(word_counts(texts.shakespeare()).counts)
num_words, corpus = counts.size, int(counts.sum())
words = jnp.log(jnp.asarray(counts, float))
generations = [1, 10, 100, 1000]
left = np.asarray(fixation.survivors(words, corpus, generations))
print(f"{num_words:,} words, {corpus:,} samples a generation")
for t, number in zip(generations, left, strict=True):
    print(f"generation {t:5,}: {number:9,.1f} words left")
print(f"until one word is left: {float(fixation.fixation_time(words, corpus)):,.0f} generations")

# %% [markdown]
# With two outcomes and $n$ samples:

# %%
print("   n  exact time  2nS to next orders  2nS")
for size in (10, 100, 1000):
    exact = float(fixation.fixation_time(jnp.zeros(2), size))
    better = float(fixation.fixation_time_expansion(0.0, size))
    leading = float(fixation.fixation_time_diffusion(jnp.zeros(2), size))
    print(f"{size:4}  {exact:10.4f}  {better:18.4f}  {leading:8.2f}")
display(register["fixation.fixation_time_expansion"])

# %% [markdown]
# ## The confrontation
#
# **The words**, simulated. The cost of a generation follows the words that are left:

# %%
runs = fp.run_resampling(
    loop(corpus),
    words,
    1000,
    key=jax.random.key(0),
    num_replicates=2,
    observe=simplex.num_surviving,
    save_at=generations,
)
alive = np.asarray(runs.value).mean(1)
# Losses hinder one another: the variance of the number is at most its mean.
z_scores = (alive - left) / np.sqrt(left / 2)
for t, number, mean, z in zip(generations, alive, left, z_scores, strict=True):
    print(f"generation {t:5,}: simulated {number:9,.1f}, exact {mean:9,.1f}, z = {z:5.2f}")

# %% [markdown]
# **Truncation.** Top-$k$ acts once. A nucleus acts in every generation, and with infinitely many
# samples it stops at the $m^*$ words with $p_m>(1-\pi)(p_1+\dots+p_m)$:

# %%
shortlist = fixation.truncation(words, corpus, generations, 1000)
print("top 1000:", np.asarray(shortlist).round(1))
nucleus = {}
for mass in (0.9, 0.99):
    model = words
    for _ in range(200):
        model = fp.Nucleus(mass)(model)
    nucleus[mass] = int(simplex.num_surviving(model)), int(truncation.nucleus_support(words, mass))
    first_cut = int(simplex.num_surviving(fp.Nucleus(mass)(words)))
    print(f"nucleus {mass}: {first_cut:,} words at first, in the end {nucleus[mass][0]}")

# %% [markdown]
# **A temperature.** One number tells how fast two outcomes are decided: the leading eigenvalue
# $\lambda$ of the chain among its undecided states. Below $T=1$ it is $T$, at 1 it is $1-1/n$,
# above it is 1 but for something exponentially small. So $1-\lambda$ meets a wall at $T=1$:

# %%
temperatures = np.concatenate([np.linspace(0.5, 0.95, 10), np.linspace(0.97, 1.5, 19)])
decays = {}
for size in (10, 50):
    decays[size] = [
        chain.quasi_stationary(chain.from_loop(loop(size, T))).decay for T in temperatures
    ]
fig, ax = plt.subplots(figsize=(5.2, 2.4))
for size, values in decays.items():
    ax.semilogy(temperatures, values, "o-", markersize=2.5, linewidth=0.8, label=f"$n={size}$")
below = temperatures[temperatures < 0.999]
ax.semilogy(below, 1 - below, color="0.6", linewidth=0.8, label="$1-T$")
ax.set(xlabel="temperature", ylabel=r"$1-\lambda$")
ax.legend()
print(f"n = 50, T = 1.5: 1 − λ = {decays[50][-1]:.1e}")
# %% [markdown]
# Above 1 the time until a loss grows like $e^{cn}$. The exponent is the least action of a path to
# the loss; the chain's own slope:

# %%
times = {}
for size in (100, 150):
    times[size] = chain.absorption(chain.from_loop(loop(size, 2.0))).mean[size // 2]
measured = (np.log(times[150]) - np.log(times[100])) / 50
action = float(metastability.metastability(2.0))
print(f"T = 2: slope {measured:.5f}, least action {action:.5f}; n = 150 takes {times[150]:.1e}")

# %% [markdown]
# **Real data.** How much of the diversity $1-\sum q^2$ is kept for ever? With one real sample in
# each generation about two thirds, whatever $n$:

# %%
kept = {}
for size in (10, 100, 1000):
    kept[size] = float(real_data.kept_diversity(1 / size, size))
    print(f"n = {size:4}, one real sample a generation: {kept[size]:.4f}")
for share in (0.01, 0.1):
    print(
        f"the plays, {share:.0%} real words: {float(real_data.kept_diversity(share, corpus)):.5f}"
    )

# %% [markdown]
# But a *rare* word is not kept by a real sample in a generation; `paper/figures/survivors.py`
# shows how many are.
#
# **The verdicts** of the equations used here, made again:

# %%
verdicts = {}
for label in (
    "resampling.heterozygosity",
    "fixation.fixation_probability",
    "fixation.fixation_time",
    "fixation.survivors",
    "resampling.entropy_budget",
    "resampling.entropy_toll",
    "fixation.truncation",
    "truncation.nucleus_support",
    "metastability.scale_function",
    "metastability.slow_eigenvalue",
    "real_data.kept_diversity",
    "verifier.verifier",
):
    verdicts[label] = confront.verify(label)
    display(register[label], verdicts[label])

# %% [markdown]
# ## Where it breaks
#
# **The expected number is not the typical one.** $\mathbb{E}[1-\sum p^2]$ falls like $(1-1/n)^t$,
# long after most runs are decided. At $n=4$ and $t=24$:

# %%
decided = chain.law(chain.from_loop(loop(4)), 24, start=2)
mean_square = float(resampling.heterozygosity(jnp.zeros(2), 4, 24))
undecided = 1 - decided[0] - decided[-1]
print(f"mean of 1 − Σp²: {mean_square:.2e}, all of it in {undecided:.2%} of the runs")

# %% [markdown]
# **A critical temperature is a property of the state.** The entropy's drift changes its sign at
# $T_c\simeq1+d/(2n\,\mathrm{Var}\log p)$. Where the outcomes are nearly equal there is none: the
# entropy falls at every temperature. Nothing happens to the process at $T_c$: above 1 it collapses
# as well, only later.

# %%
for odds in (1.0, 3.0, 30.0):
    critical = float(metastability.critical_temperature(jnp.log(jnp.array([odds, 1.0])), 100))
    print(f"odds {odds:4}: T_c = {critical:.4f}")

# %% [markdown]
# **A partial refit loses nothing exactly.** A step $p\leftarrow(1-\eta)p+\eta\hat p$ on $B$ samples
# loses as much diversity as a refit to $B/\eta^2$ samples, but no outcome is ever gone. **A
# verifier** that accepts right samples $r$ times as often makes the right answer win, but not
# surely: if it is rare, it may not be drawn. From $k$ right ones of many samples:

# %%
print("n_e of steps of 0.1 on 4 samples:", round(1 / float(real_data.partial_refit(0.1, 4, 1))))
right = np.arange(0, 7)
lost = np.asarray(verifier.lock_in_strong(right, 2.0))
print("r = 2: chance that the wrong answer is learnt for ever:", lost)

# %% [markdown]
# ## Exercises
#
# The cell after each exercise holds an answer, folded away; it runs, and asserts what it says.
#
# ### Exercise 1
#
# A model of two equally likely outcomes is retrained on 4 of its own samples. What is the mean
# number of generations until it is certain? Solve the three equations of the chain.

# %% tags=["answer"]
# τ₁ = τ₃ and τ₂: (I − Q) τ = 1 gives 107/29, 132/29.
size = 4
table = sp.Matrix(
    5,
    5,
    lambda row, col: (
        sp.binomial(4, col) * sp.Rational(row, 4) ** col * sp.Rational(4 - row, 4) ** (4 - col)
    ),
)
solved = (sp.eye(3) - table[1:4, 1:4]).LUsolve(sp.ones(3, 1))
assert list(solved) == [sp.Rational(107, 29), sp.Rational(132, 29), sp.Rational(107, 29)]
assert np.isclose(float(fixation.fixation_time(jnp.zeros(2), 4)), 132 / 29, rtol=1e-13)
print(solved.T)

# %% [markdown]
# ### Exercise 2
#
# How many of 1000 equally likely words are left after one generation of 1000 samples? After two?
# (For many samples the share of ancestors follows $a'=1-e^{-a}$.)

# %% tags=["answer"]
# 1 − 1/e of them; then the ancestors are 1 − 1/e of 1000: 1 − e^{−0.632} = 0.469.
two = np.asarray(fixation.survivors(jnp.zeros(1000), 1000, [1, 2]))
share = 1 - np.exp(-1)
assert np.allclose(two / 1000, [share, 1 - np.exp(-share)], atol=1e-3)
print(two)

# %% [markdown]
# ### Exercise 3
#
# A nucleus of mass $\pi=0.9$ is applied to uniform frequencies over and over again, without noise.
# How many outcomes are left? Why does a corpus of words keep fewer?

# %% tags=["answer"]
# p_m/S_m = 1/m > 0.1 for m < 10: nine (of ten, nine have 0.9 exactly, which is enough). Unequal
# outcomes have p_m < S_m/m.
assert int(truncation.nucleus_support(jnp.zeros(1000), 0.9)) == 9
assert nucleus[0.9][1] < 9
print(nucleus[0.9][1], "words")

# %% [markdown]
# ## What was shown

# %%
for label, verdict in verdicts.items():
    assert verdict.passed, f"{label}: {verdict}"
assert first == p, "claim 1: the mean must be kept"
assert duality_residual == scale_residual == immigration_residual == 0
assert sp.simplify(toll + 1 / (2 * n)) == 0, "the toll is another one"
assert np.abs(z_scores).max() < 4.5, "the simulated words depart from the exact mean"
assert left[-1] < 0.04 * num_words, "claim 5: the words must be lost"
for applied, rule in nucleus.values():
    assert applied == rule, "the nucleus stops elsewhere"
for size, values in decays.items():
    assert np.all(np.diff(values) < 0), f"n = {size}: the decay must fall with T"
assert abs(decays[50][6] - 0.2) < 1e-3, "n = 50: at T = 0.8 it is 1 − T"
assert decays[50][-1] < 1e-6, "n = 50: the wall above T = 1"
assert abs(measured - action) < 1e-3, "the least action is not the chain's slope"
assert abs(kept[1000] - 2 / 3) < 1e-3, "one real sample keeps two thirds"
assert {"fixation.survivors", "resampling.entropy_budget"} <= set(verdicts)
print("all assertions hold")
