"""Stands where the real package is looked for."""


def mean_loss(log_probs):
    return 0.0
