"""Typical mistakes, each with the line that a user sees and the exit status, through the command itself."""

from pathlib import Path

import pytest

from afrl_ray.cli import main

FILE_MISTAKES = {
    "misspelt setting": (
        "finetune:\n  stepz: 50000\n",
        "x.yaml: finetune.stepz is not a setting; did you mean finetune.steps?",
    ),
    "misspelt section": (
        "finetun:\n  steps: 50000\n",
        "x.yaml: finetun is not a setting; did you mean finetune?",
    ),
    "setting in the wrong section": (
        "finetune:\n  epsilon: 0.3\n",
        "x.yaml: finetune.epsilon is not a setting; did you mean perturbation.epsilon?",
    ),
    "nothing like it": (
        "attack: {zzz: 1}\n",
        "x.yaml: attack.zzz is not a setting; attack has optimizer, population, generations, step_budget, episodes, "
        "racing, training_bank, validation_bank, evaluation_bank",
    ),
    "setting of another type": (
        "curriculum: {type: linear, beta: 0.3}\n",
        "x.yaml: curriculum.beta is not a setting of curriculum.type=linear, only of adaptive; "
        "set curriculum.type to adaptive",
    ),
    "unknown type": (
        "curriculum: {type: adaptve}\n",
        'x.yaml: curriculum.type is "adaptve"; did you mean adaptive?',
    ),
    "unknown choice": (
        "finetune: {algorithm: {mixed_precision: half}}\n",
        'x.yaml: finetune.algorithm.mixed_precision is "half"; write one of auto, on, off',
    ),
    "missing setting": (
        "data: {type: minari}\n",
        "x.yaml: data.dataset must be given for data.type=minari: "
        "A Minari dataset id (mujoco/hopper/expert-v0), or the folder of one",
    ),
    "text for a number": (
        "finetune: {steps: many}\n",
        'x.yaml: finetune.steps is "many"; write a whole number',
    ),
    "a float beyond all integers": (
        "finetune: {steps: 1.0e+30}",
        "x.yaml: finetune.steps is 1e+30; it is out of range; write a number closer to 0",
    ),
    "fraction for a whole number": (
        "finetune: {steps: 1000.5}\n",
        "x.yaml: finetune.steps is 1000.5; write a whole number",
    ),
    "truth for a number": (
        "finetune: {steps: true}\n",
        "x.yaml: finetune.steps is true; write a number",
    ),
    "out of range": (
        "curriculum: {q: 1.5}\n",
        "x.yaml: curriculum.q is 1.5; it should be less than or equal to 1",
    ),
    "no number at all": (
        "finetune: {algorithm: {actor_learning_rate: 1e400}}\n",
        "x.yaml: finetune.algorithm.actor_learning_rate is Infinity; it should be a finite number",
    ),
    "an infinite number in a search": (
        "curriculum: {type: adaptive}\nsearch: {space: {curriculum.kappa: [0.5, 1e400]}}\n",
        "x.yaml: search.space (curriculum.kappa=Infinity): curriculum.kappa is Infinity; it should be a finite number",
    ),
    "no bank to choose checkpoints by": (
        "attack: {validation_bank: 0}\n",
        "x.yaml: attack.validation_bank is 0; it should be greater than 0",
    ),
    "nothing to evaluate": (
        "evaluation: {conditions: []}\n",
        "x.yaml: evaluation.conditions is []; write at least 1",
    ),
    "inside a list": (
        "finetune: {algorithm: {hidden_sizes: [256, wide]}}\n",
        'x.yaml: finetune.algorithm.hidden_sizes[1] is "wide"; write a whole number',
    ),
    "value for a section": (
        "finetune: 50000\n",
        "x.yaml: finetune is 50000; write a mapping of its settings: start, algorithm, steps, random_steps, "
        "offline_ratio, replay_capacity, num_envs, evaluation_interval, validation_episodes, checkpoint_interval",
    ),
    "type for a section": (
        "curriculum: adaptive\n",
        "x.yaml: curriculum is a section; write curriculum.type=adaptive, or curriculum: {type: adaptive} in a file",
    ),
    "empty section": (
        "finetune:\nseed: 1\n",
        "x.yaml: finetune is empty; write its settings below it, or leave it out",
    ),
    "dots in a file": (
        "finetune.steps: 50000\n",
        "x.yaml: finetune.steps cannot be written with dots in a file; nest it, as finetune: {steps: …}",
    ),
    "not YAML": (
        "seed: 1\nfinetune: {steps: 5\n",
        "x.yaml: line 3: expected ',' or '}', but got '<stream end>'",
    ),
    "tab": (
        "finetune:\n\tsteps: 5\n",
        "x.yaml: line 2: found character '\\t' that cannot start any token",
    ),
    "an anchor inside of itself": (
        "seed: &a [*a]\n",
        "x.yaml: is not YAML: an anchor stands inside of what it names; write out what is meant",
    ),
    "key given twice": (
        "finetune:\n  steps: 50000\nseed: 1\nfinetune:\n  num_envs: 2\n",
        "x.yaml: line 4: finetune is given twice, first in line 1; keep one of them",
    ),
    "a list at the top": (
        "- seed: 1\n",
        "x.yaml: holds no settings; write them as `name: value`, one on each line",
    ),
    "checkpoints between evaluations": (
        "finetune: {evaluation_interval: 5000, checkpoint_interval: 7000}\n",
        "x.yaml: finetune: checkpoint_interval (7000) is not a multiple of evaluation_interval (5000); "
        "write checkpoint_interval: 5000",
    ),
    "never evaluated": (
        "finetune: {steps: 1000}\n",
        "x.yaml: finetune: evaluation_interval (5000) is longer than steps (1000); "
        "write evaluation_interval: 1000 or less",
    ),
    "pretraining never evaluated": (
        "pretrain: {updates: 1000}\n",
        "x.yaml: pretrain: evaluation_interval (10000) is longer than updates (1000); "
        "write evaluation_interval: 1000 or less",
    ),
    "offline policy that the online algorithm cannot take": (
        "pretrain: {algorithm: {type: iql}}\n",
        "x.yaml: finetune.algorithm.type=td3 cannot take the gaussian policy of pretrain.algorithm.type=iql; "
        "set finetune.algorithm.type to sac, or pretrain.algorithm.type to td3_bc",
    ),
    "online algorithm that cannot take the offline policy": (
        "finetune: {algorithm: {type: sac}}\n",
        "x.yaml: finetune.algorithm.type=sac cannot take the deterministic policy of pretrain.algorithm.type=td3_bc; "
        "set finetune.algorithm.type to td3, or pretrain.algorithm.type to iql or cql",
    ),
    "setting of another offline algorithm": (
        "pretrain: {algorithm: {expectile: 0.8}}\n",
        "x.yaml: pretrain.algorithm.expectile is not a setting of pretrain.algorithm.type=td3_bc, only of iql; "
        "set pretrain.algorithm.type to iql",
    ),
    "misspelt setting of an algorithm": (
        "pretrain: {algorithm: {type: iql, expectle: 0.8}}\nfinetune: {algorithm: {type: sac}}\n",
        "x.yaml: pretrain.algorithm.expectle is not a setting; did you mean pretrain.algorithm.expectile?",
    ),
    "setting of an algorithm of the other phase": (
        "finetune: {algorithm: {expectile: 0.8}}\n",
        "x.yaml: finetune.algorithm.expectile is not a setting; did you mean pretrain.algorithm.expectile?",
    ),
    "algorithm for a section": (
        "pretrain: {algorithm: iql}\n",
        "x.yaml: pretrain.algorithm is a section; write pretrain.algorithm.type=iql, "
        "or pretrain.algorithm: {type: iql} in a file",
    ),
    "nothing but random steps": (
        "finetune: {start: scratch, steps: 20000}\n",
        "x.yaml: finetune: random_steps (25000) leave none of the steps (20000) to learn in; "
        "write random_steps: 2000 or less",
    ),
    "replay too small for a batch": (
        "finetune: {replay_capacity: 100, offline_ratio: 0}\n",
        "x.yaml: finetune: replay_capacity (100) is smaller than one batch (algorithm.batch_size is 256)",
    ),
    "replay too small for the data": (
        "finetune: {replay_capacity: 100000}\n",
        "x.yaml: finetune.replay_capacity (100000) cannot hold the 300000 offline transitions it starts with "
        "(data.transitions times finetune.offline_ratio)",
    ),
    "networks that do not fit each other": (
        "finetune: {algorithm: {critic_layer_norm: true}}\n",
        "x.yaml: pretrain.algorithm.critic_layer_norm (False) is not finetune.algorithm.critic_layer_norm (True), and "
        "fine-tuning starts with the networks of pretraining; write the same for both",
    ),
    "search of an unknown setting": (
        "search: {space: {curriculum.bet: [0.1]}}\n",
        "x.yaml: search.space: curriculum.bet is not a setting; did you mean curriculum.beta?",
    ),
    "search in an earlier stage": (
        "search: {space: {pretrain.updates: [1, 2]}}\n",
        "x.yaml: search.space: pretrain.updates is not of the fine-tuning stage; "
        "trials may differ in seed, perturbation, finetune, curriculum",
    ),
    "search value out of range": (
        "search: {space: {curriculum.q: [0.5, 1.5]}}\n",
        "x.yaml: search.space (curriculum.q=1.5): curriculum.q is 1.5; it should be less than or equal to 1",
    ),
    "search combination that does not fit": (
        "search: {space: {finetune.steps: [4000, 9000], finetune.evaluation_interval: [4000, 5000]}}\n",
        "x.yaml: search.space (finetune.steps=4000, finetune.evaluation_interval=4000): finetune: checkpoint_interval "
        "(5000) is not a multiple of evaluation_interval (4000); write checkpoint_interval: 4000",
    ),
    "search of another type's setting": (
        "search: {space: {curriculum.beta: [0.1, 0.3]}}\n",
        "x.yaml: search.space (curriculum.beta=0.1): curriculum.beta is not a setting of curriculum.type=fixed, "
        "only of adaptive; set curriculum.type to adaptive",
    ),
    "a single value in a search": (
        "search: {space: {curriculum.q: 0.5}}\n",
        "x.yaml: search.space.curriculum.q is 0.5; write a list of values, {uniform: [low, high]}, "
        "{loguniform: [low, high]} or {choice: [values]}",
    ),
    "unknown fault": (
        "perturbation: {fault: {type: dead_jiont}}\n",
        'x.yaml: perturbation.fault.type is "dead_jiont"; did you mean dead_joint?',
    ),
    "plain name for a fault": (
        "perturbation: {fault: bias}\n",
        'x.yaml: perturbation.fault is "bias"; write a mapping of its settings: type, magnitude',
    ),
    "too strong a fault": (
        "perturbation: {fault: {type: saturation, magnitude: 1.5}}\n",
        "x.yaml: perturbation.fault: type is saturation, magnitude is 1.5; write 1 or less",
    ),
    "half a step late": (
        "perturbation: {fault: {type: delay, magnitude: 0.5}}\n",
        "x.yaml: perturbation.fault: type is delay, magnitude is 0.5; write a whole number",
    ),
    "a bound of nothing": (
        "perturbation: {epsilon: 0.3, fault: {type: bias}}\n",
        "x.yaml: perturbation.epsilon (0.3) is the bound of multiplicative faults, and perturbation.fault.type is "
        "bias; write perturbation.fault.magnitude instead",
    ),
    "two bounds": (
        "perturbation: {epsilon: 0.3, fault: {magnitude: 0.5}}\n",
        "x.yaml: perturbation: epsilon (0.3) and fault.magnitude (0.5) are the same bound; keep one of them",
    ),
    "pgd of another fault": (
        "perturbation: {condition: pgd, fault: {type: delay}}\n",
        "x.yaml: perturbation: condition pgd is for multiplicative faults, whose δ a gradient of Q can choose, not for "
        "delay; write random or adversarial",
    ),
    "evaluation under pgd of another fault": (
        "perturbation: {fault: {type: bias}}\nevaluation: {conditions: [normal, pgd]}\n",
        "x.yaml: evaluation.conditions: condition pgd is for multiplicative faults, whose δ a gradient of Q can "
        "choose, not for bias; write random or adversarial",
    ),
    "unknown condition": (
        "evaluation: {conditions: [normal, advarsarial]}\n",
        'x.yaml: evaluation.conditions[1] is "advarsarial"; did you mean adversarial?',
    ),
    "mistake in a condition": (
        "evaluation: {conditions: [normal, {name: dead, fault: {type: dead_join}}]}\n",
        'x.yaml: evaluation.conditions[1] is {"name": "dead", "fault": {"type": "dead_join"}}; '
        'fault.type is "dead_join"; did you mean dead_joint?',
    ),
    "condition without a name": (
        "evaluation: {conditions: [{fault: {type: bias}}]}\n",
        'x.yaml: evaluation.conditions[0] is {"fault": {"type": "bias"}}; name must be given: What tables call it',
    ),
    "two conditions of one name": (
        "evaluation: {conditions: [random, {name: random, fault: {type: bias}}]}\n",
        'x.yaml: evaluation.conditions is ["random", {"name": "random", "fault": {"type": "bias"}}]; '
        "random is there twice; give each condition a name of its own",
    ),
    "trials under different faults": (
        "search: {space: {perturbation.fault.type: [bias, delay]}}\n",
        'x.yaml: search.space (perturbation.fault.type="bias"): perturbation.fault must be the same for all trials; '
        "run an experiment for each",
    ),
    "a distribution in a grid": (
        "search: {space: {curriculum.q: {uniform: [0, 1]}}}\n",
        "x.yaml: search: curriculum.q is a distribution, which no grid can list; set search.method to random",
    ),
    "a distribution the wrong way round": (
        "search: {method: random, space: {curriculum.q: {uniform: [1, 0]}}}\n",
        'x.yaml: search.space.curriculum.q is {"uniform": [1, 0]}; '
        "uniform: [1, 0] does not go from a smaller to a larger number",
    ),
    "a distribution over whole numbers": (
        "search: {method: random, space: {seed: {uniform: [0, 4]}}}\n",
        "x.yaml: search.space (seed=2.82842712474619): seed is 2.82842712474619; write a whole number",
    ),
    "repetitions of a grid": (
        "search: {samples: 3, space: {curriculum.q: [0.1, 0.5]}}\n",
        "x.yaml: search: samples is 3, but repetitions of a grid would be exact copies; "
        "list seeds in search.space, such as seed: [0, 1, 2], or set search.method to random",
    ),
    "too large a grid": (
        f"search: {{space: {{seed: {list(range(200))}, curriculum.q: {[number / 100 for number in range(100)]}}}}}\n",
        "x.yaml: search.space has 20000 combinations; list fewer values, or set search.method to random",
    ),
}

OVERRIDE_MISTAKES = {
    "a core by another name": (
        "runtime.resources.trial.custom={CPU: 0.1}",
        'override runtime.resources.trial.custom={CPU: 0.1}: runtime.resources.trial.custom is {"CPU": 0.1}; '
        "CPU is no custom resource; write cpus beside custom",
    ),
    "memory": (
        "runtime.resources.pretrain.custom.memory=4",
        'override runtime.resources.pretrain.custom.memory=4: runtime.resources.pretrain.custom is {"memory": 4}; '
        "memory cannot be reserved here; name a custom resource of your own, such as highmem",
    ),
    "less than Ray counts": (
        "runtime.resources.evaluation.cpus=0.00001",
        "override runtime.resources.evaluation.cpus=0.00001: runtime.resources.evaluation: "
        "cpus is 1e-05, and Ray counts in steps of 0.0001",
    ),
    "one and a half GPUs": (
        "runtime.resources.trial.gpus=1.5",
        "override runtime.resources.trial.gpus=1.5: runtime.resources.trial: "
        "gpus is 1.5; write a share of one GPU, or a whole number of them",
    ),
    "misspelt": (
        "finetune.stepz=5",
        "override finetune.stepz=5: finetune.stepz is not a setting; did you mean finetune.steps?",
    ),
    "misspelt section": (
        "finetune.algoritm.tau=0.1",
        "override finetune.algoritm.tau=0.1: finetune.algoritm.tau is not a setting; "
        "did you mean finetune.algorithm.tau?",
    ),
    "below a value": (
        "seed.first=1",
        "override seed.first=1: seed.first is not a setting; seed holds one value",
    ),
    "far below a value": (
        "seed.first.digit=1",
        "override seed.first.digit=1: seed.first.digit is not a setting; seed holds one value",
    ),
    "in no section": (
        "a.b.c=1",
        "override a.b.c=1: a.b.c is not a setting; the top level has name, seed, output, environment, data, pretrain, "
        "perturbation, attack, finetune, curriculum, search, evaluation, tracking, runtime",
    ),
    "in no section of a section": (
        "tracking.x.y=1",
        "override tracking.x.y=1: tracking.x.y is not a setting; tracking has enabled, uri, experiment",
    ),
    "number for a folder": (
        "output=5",
        "override output=5: output is 5; write a folder, or s3://BUCKET/PREFIX",
    ),
    "an anchor inside of itself": (
        "seed=&a [*a]",
        "override seed=&a [*a]: the value is not YAML: an anchor stands inside of what it names; "
        "write out what is meant",
    ),
    "no value": (
        "finetune.steps",
        "override finetune.steps: write it as NAME=VALUE, like finetune.steps=50000",
    ),
    "value not YAML": (
        "finetune.algorithm.hidden_sizes=[256",
        "override finetune.algorithm.hidden_sizes=[256: the value is not YAML: "
        "expected ',' or ']', but got '<stream end>'",
    ),
    "out of range": (
        "finetune.offline_ratio=-1",
        "override finetune.offline_ratio=-1: finetune.offline_ratio is -1; it should be greater than or equal to 0",
    ),
    "against the rest": (
        "finetune.steps=1000",
        "override finetune.steps=1000: finetune: evaluation_interval (5000) is longer than steps (1000); "
        "write evaluation_interval: 1000 or less",
    ),
    "unknown algorithm": (
        "finetune.algorithm.type=scc",
        'override finetune.algorithm.type=scc: finetune.algorithm.type is "scc"; did you mean sac?',
    ),
    "offline policy that the online algorithm cannot take": (
        "pretrain.algorithm.type=cql",
        "override pretrain.algorithm.type=cql: finetune.algorithm.type=td3 cannot take the gaussian policy of "
        "pretrain.algorithm.type=cql; set finetune.algorithm.type to sac, or pretrain.algorithm.type to td3_bc",
    ),
    "algorithms of a search that do not fit": (
        "search.space.finetune.algorithm.type=[td3, sac]",
        'override search.space.finetune.algorithm.type=[td3, sac]: search.space (finetune.algorithm.type="sac"): '
        "finetune.algorithm.type=sac cannot take the deterministic policy of pretrain.algorithm.type=td3_bc; "
        "set finetune.algorithm.type to td3, or pretrain.algorithm.type to iql or cql",
    ),
    "in a search": (
        "search.space.curriculum.q=[0.5, 2]",
        "override search.space.curriculum.q=[0.5, 2]: search.space (curriculum.q=2): curriculum.q is 2; "
        "it should be less than or equal to 1",
    ),
}


def run_and_read(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    status = main(arguments)
    output = capsys.readouterr()
    assert output.out == ""
    return status, output.err


@pytest.mark.parametrize("mistake", FILE_MISTAKES)
def test_mistakes_in_a_file(
    mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content, line = FILE_MISTAKES[mistake]
    monkeypatch.chdir(tmp_path)
    Path("x.yaml").write_text(content)
    assert run_and_read(["config", "show", "x.yaml"], capsys) == (2, f"error: {line}\n")


@pytest.mark.parametrize("mistake", OVERRIDE_MISTAKES)
def test_mistakes_in_an_override(
    mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    override, line = OVERRIDE_MISTAKES[mistake]
    monkeypatch.chdir(tmp_path)
    Path("x.yaml").write_text("seed: 3\n")
    assert run_and_read(["config", "show", "x.yaml", override], capsys) == (2, f"error: {line}\n")


def test_every_mistake_gets_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.yaml").write_text("finetune: {steps: 0}\nseeed: 1\n")
    assert run_and_read(["config", "show", "x.yaml", "attack.population=few"], capsys) == (
        2,
        'error: override attack.population=few: attack.population is "few"; write a whole number\n'
        "error: x.yaml: finetune.steps is 0; it should be greater than 0\n"
        "error: x.yaml: seeed is not a setting; did you mean seed?\n",
    )


def test_missing_files_name_their_neighbour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("hopper.yaml").touch()
    Path("folder.yaml").mkdir()
    Path("binary.yaml").write_bytes(b"\xff\xfe\x00")
    for name, line in (
        ("hoper.yaml", "hoper.yaml: there is no such file; did you mean hopper.yaml?"),
        ("ant.yaml", "ant.yaml: there is no such file"),
        ("folder.yaml", "folder.yaml: is a folder; name a YAML file in it"),
        ("binary.yaml", "binary.yaml: is not a text file in UTF-8"),
    ):
        assert run_and_read(["config", "show", name], capsys) == (2, f"error: {line}\n")
