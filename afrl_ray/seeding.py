"""One seed makes every random generator, by name."""

import hashlib


def derive_seed(seed: int, *path: str | int) -> int:
    """A seed in [0, 2³¹) for the generator called `path`, e.g. `derive_seed(0, "evaluation", "normal", 17)`.

    Different paths give unrelated seeds; the same path gives the same seed on every machine.
    """
    name = "/".join(str(part) for part in (seed, *path))
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little") >> 1
