"""How often training episodes are perturbed."""
