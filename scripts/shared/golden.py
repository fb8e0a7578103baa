"""The golden input: noise that a model's card describes by a seed and a number of samples (models/src/golden.rs)."""

import numpy as np


def golden_input(seed, samples):
    """f32 in [-0.1, 0.1) from a linear congruential generator."""
    state, values = seed, np.empty(samples, np.float32)
    for i in range(samples):
        state = (1664525 * state + 1013904223) % 2**32
        values[i] = 0.1 * (state - 2**32 if state >= 2**31 else state) / 2**31
    return values
