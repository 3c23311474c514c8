"""The theory: one folder a law, the same three files in each.

`derivation` proves the claim from the definitions (SymPy), `solution` evaluates it (JAX),
`process` runs the loop that it describes; `fixedpoint.confront` compares the three.
"""
