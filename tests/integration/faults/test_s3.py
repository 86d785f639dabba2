"""Everything below an S3 URI, with the driver and all working copies lost on the way."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fault_support.record import Record
from fault_support.results import assert_as_undisturbed
from fault_support.runs import INTERVAL, LocalRun, S3Run
from fault_support.servers import Bucket

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
AFTER = 2 * INTERVAL
STAGES = ("data", "pretrain", "attack", "finetune", "evaluation")


@pytest.fixture
def stored(bucket: Bucket, tmp_path: Path) -> Iterator[S3Run]:
    one = S3Run(tmp_path, bucket=bucket)
    yield one
    one.end()


def test_driver_and_working_copies(stored: S3Run, undisturbed: LocalRun, record: Callable[..., Record]) -> None:
    """The second machine knows nothing but the URI; a third one finds everything finished."""
    stored.start()
    note = record("driver_s3", stored)
    stored.reach(AFTER)
    note.strike(stored.kill_driver)
    shutil.rmtree(stored.scratch)
    stored.resume()
    note.recovered()
    note.end(resumed=True)
    for stage in STAGES[:3]:
        assert f"{stage}: kept, s3://bucket/runs/faults/{stage}" in stored.words()
    assert_as_undisturbed(stored.results, undisturbed.results)
    assert (stored.output / "evaluation" / "table.md").exists()

    shutil.rmtree(stored.scratch)
    before = len(stored.words())
    stored.start()
    assert not stored.succeed()
    for stage in STAGES:
        assert f"{stage}: kept, s3://bucket/runs/faults/{stage}" in stored.words()[before:]


@pytest.mark.parametrize(
    ("output", "change", "message"),
    [
        ("s3://elsewhere/x", {}, "there is no such bucket, or not in this region (AWS_REGION)"),
        (
            "s3://bucket/x",
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
            "no answer: check the network, and AWS_ENDPOINT_URL where the storage is not Amazon's",
        ),
        (
            "s3://bucket/x",
            {"denied": "yes"},
            "access is denied: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role",
        ),
    ],
)
def test_what_cannot_be_reached_is_one_line(
    output: str, change: dict[str, str], message: str, stored: S3Run, bucket: Bucket
) -> None:
    stored.overrides = (f"output={output}",)
    stored.environment |= change
    bucket.ask_for_permission("denied" in change)
    try:
        stored.start()
        assert stored.process is not None
        stored.process.wait(timeout=300)
    finally:
        bucket.ask_for_permission(False)
    assert (stored.process.returncode, stored.words()) == (2, f"error: {output}: {message}\n")
