"""One program: time, affine rules, solver, and the plans it proves. It knows no device."""
