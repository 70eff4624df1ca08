"""Time grid, affine rules, solvers and plans of one optimisation program. Knows no device."""
