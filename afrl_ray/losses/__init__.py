"""The papers' equations as pure functions of tensors: they compute, and never step, log or count."""
