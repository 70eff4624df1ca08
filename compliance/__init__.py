"""The compliance run: what must hold in the code, read from its syntax tree, and in its runs.

``source``  the code as modules with resolved names; ``reach`` follows who can call whom
``rules``   what the syntax tree must show, category by category
``runs``    every pipeline for two days on the twin, and what it leaves behind
``replay``  a run's plans audited again from the rows of the results database alone

``python run_tests.py --ci`` runs it all; ``python -m compliance`` this part alone.
"""
