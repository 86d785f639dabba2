from collections.abc import Iterator

import pytest

from afrl_ray.telemetry.labels import LABELS, bound


@pytest.fixture(autouse=True)
def no_labels() -> Iterator[None]:
    """Tests of trials in this same process leave theirs."""
    with bound(**dict.fromkeys(LABELS, "")):
        yield
