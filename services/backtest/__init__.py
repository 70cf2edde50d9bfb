"""The live `decide()` on the simulated plant, in one process and without a wire."""
