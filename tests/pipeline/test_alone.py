import signal
import subprocess
import sys
from pathlib import Path

import pytest

from afrl_ray.cli import main
from afrl_ray.config import ExpertSettings
from afrl_ray.pipeline import expert
from afrl_ray.pipeline.alone import alone_in
from afrl_ray.pipeline.artifacts import Stage
from experiments import tiny_experiment

HOLD = """
import sys, time
from pathlib import Path
from afrl_ray.pipeline.alone import alone_in
with alone_in(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_folder_is_free_again_when_its_process_was_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        message = f"another afrl is at work in {tmp_path}; wait for it, stop it, or choose another output folder"
        with pytest.raises(BlockingIOError) as error, alone_in(tmp_path):
            pass
        assert str(error.value) == message
        other.send_signal(signal.SIGKILL)
    with alone_in(tmp_path):
        pass


@pytest.mark.slow
def test_two_runs_in_one_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tiny.yaml").write_text(tiny_experiment(steps=100))
    with alone_in(tmp_path / "run"):
        assert main(["run", str(tmp_path / "tiny.yaml"), f"output={tmp_path / 'run'}"]) == 2
    assert capsys.readouterr().err.startswith(f"error: another afrl is at work in {tmp_path / 'run'}; ")
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_a_training_of_an_expert_keeps_its_lock_when_it_moves_another_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Begun(Exception):
        pass

    def connect(_: object) -> None:
        with pytest.raises(BlockingIOError):
            expert.train_expert(ExpertSettings(seed=1), tmp_path / "hopper")
        raise Begun

    Stage("expert", tmp_path / "hopper", {"seed": 0}, {}).begin()
    monkeypatch.setattr(expert, "connect", connect)
    with pytest.raises(Begun):
        expert.train_expert(ExpertSettings(seed=1), tmp_path / "hopper")
    assert len(list(tmp_path.glob("hopper.replaced-*"))) == 1
