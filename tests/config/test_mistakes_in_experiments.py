"""Settings that do not fit each other: stages, faults and conditions, searches; each with the line that a user sees."""

from collections.abc import Callable

import pytest

STAGES = {
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
}

FAULTS = {
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
    "a condition called like one under the own fault": (
        "evaluation: {conditions: [{name: normal, fault: {type: bias}}]}\n",
        'x.yaml: evaluation.conditions is [{"name": "normal", "fault": {"type": "bias"}}]; normal is what '
        "tables call something else; write another name",
    ),
    "a condition called like pgd": (
        "evaluation: {conditions: [{name: pgd, fault: {type: bias}}]}\n",
        'x.yaml: evaluation.conditions is [{"name": "pgd", "fault": {"type": "bias"}}]; pgd is what '
        "tables call something else; write another name",
    ),
    "a truth for a number in a condition": (
        "evaluation: {conditions: [{name: x, fault: {type: multiplicative, magnitude: true}}]}\n",
        'x.yaml: evaluation.conditions[0] is {"name": "x", "fault": {"type": "multiplicative", "magnit...; '
        "fault.magnitude is true; write a number",
    ),
    "a condition on two lines": (
        'evaluation: {conditions: [{name: "a\\nb"}]}\n',
        'x.yaml: evaluation.conditions[0] is {"name": "a\\nb"}; name is "a\\nb"; write a name, on one line',
    ),
    "a condition without a name": (
        "evaluation: {conditions: [{fault: {type: bias}}]}\n",
        'x.yaml: evaluation.conditions[0] is {"fault": {"type": "bias"}}; name must be given: What tables call it',
    ),
    "two conditions of one name": (
        "evaluation: {conditions: [random, {name: random, fault: {type: bias}}]}\n",
        'x.yaml: evaluation.conditions is ["random", {"name": "random", "fault": {"type": "bias"}}]; '
        "random is there twice; give each condition a name of its own",
    ),
}

SEARCHES = {
    "an infinite number in a search": (
        "curriculum: {type: adaptive}\nsearch: {space: {curriculum.kappa: [0.5, 1e400]}}\n",
        "x.yaml: search.space (curriculum.kappa=Infinity): curriculum.kappa is Infinity; it should be a finite number",
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


@pytest.mark.parametrize("mistake", STAGES)
def test_stages_that_do_not_fit(mistake: str, refused_file: Callable[[str], tuple[int, str]]) -> None:
    content, line = STAGES[mistake]
    assert refused_file(content) == (2, f"error: {line}\n")


@pytest.mark.parametrize("mistake", FAULTS)
def test_faults_and_conditions_that_cannot_be(mistake: str, refused_file: Callable[[str], tuple[int, str]]) -> None:
    content, line = FAULTS[mistake]
    assert refused_file(content) == (2, f"error: {line}\n")


@pytest.mark.parametrize("mistake", SEARCHES)
def test_searches_that_cannot_be(mistake: str, refused_file: Callable[[str], tuple[int, str]]) -> None:
    content, line = SEARCHES[mistake]
    assert refused_file(content) == (2, f"error: {line}\n")
