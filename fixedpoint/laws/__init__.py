"""The theory: one folder a law, a law one phenomenon, the same three files in each.

`derivation` claims and proves (SymPy), `solution` evaluates (JAX), `process` runs the loop that a
claim names; `fixedpoint.confront` compares the three.
"""

CHAPTERS = {
    "full training": ("tempering", "recovery", "families", "mixing"),
    "finite training": ("flow", "online", "geometry"),
    "single traces": ("traces", "weight_decay", "survival"),
    "finitely many samples": (
        "resampling",
        "fixation",
        "metastability",
        "truncation",
        "accumulation",
        "real_data",
        "verifier",
    ),
}
"""The laws that are read together, in the order of the notebooks and of the paper."""
