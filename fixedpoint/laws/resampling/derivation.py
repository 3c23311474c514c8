r"""Resampling: each generation is refitted to n of its own samples, drawn at a temperature.

The counts of generation t + 1 are multinomial, N' ~ Multinomial(n, p_T) with p_T ∝ p^{1/T}, and
the next model is p' = N'/n. At T = 1 this is the haploid Wright–Fisher model of population
genetics; its words (heterozygosity, fixation) are used here. An outcome that was not drawn is lost
for ever.
"""

# --- The definitions: one generation --------------------------------------------------------------


# --- T = 1: moments, fixation, survivors ----------------------------------------------------------


# --- T = 1: entropy -------------------------------------------------------------------------------


# --- Truncation -----------------------------------------------------------------------------------


# --- A temperature --------------------------------------------------------------------------------


# --- Real data and partial refits -----------------------------------------------------------------


# --- A verifier -----------------------------------------------------------------------------------
