"""The dashboard and the alerts ask for metrics that there are; a running job exports them and reports on itself."""

import json
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from afrl_ray.telemetry.metrics import JOB_LABEL, exported_names
from experiments import tiny_experiment

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "cluster" / "monitoring"
RAYS_OWN = {"ray_node_cpu_utilization", "ray_node_mem_used", "ray_node_mem_total", "ray_resources"}
SUFFIXES = ("_bucket", "_count", "_sum")


def dashboard() -> Any:
    return json.loads((MONITORING / "dashboard.json").read_text())


def dashboard_queries() -> list[str]:
    return [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", [])]


def alert_queries() -> list[str]:
    [group] = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
    return [rule["expr"] for rule in group["rules"]]


def metric_names(query: str) -> set[str]:
    names = set(re.findall(r"\bray_\w+", query))
    return {next((name.removesuffix(end) for end in SUFFIXES if name.endswith(end)), name) for name in names}


def test_queries_ask_only_for_what_is_exported() -> None:
    asked = set().union(*map(metric_names, [*dashboard_queries(), *alert_queries()]))
    assert asked - RAYS_OWN <= exported_names().keys()
    [job] = [variable for variable in dashboard()["templating"]["list"] if variable["name"] == "job"]
    assert job["definition"] == f"label_values(ray_afrl_stage_share, {JOB_LABEL})"


def test_every_metric_is_on_the_dashboard() -> None:
    assert exported_names().keys() <= set().union(*map(metric_names, dashboard_queries()))


def test_panels_do_not_overlap_and_have_names_of_their_own() -> None:
    panels = dashboard()["panels"]
    assert len({panel["title"] for panel in panels}) == len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    assert max(x for x, _ in taken) == 23


def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    rules = [
        {"record": f"query_{number}", "expr": query.replace("$job", ".*")}
        for number, query in enumerate(dashboard_queries())
    ]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    beside = tmp_path / "prometheus.yaml"  # in the container the alerts lie beside it
    beside.write_text((ROOT / "docker" / "prometheus.yaml").read_text())
    (tmp_path / "alerts.yaml").write_text((MONITORING / "alerts.yaml").read_text())
    for command in (["rules", file], ["config", MONITORING / "prometheus.yaml"], ["config", beside]):
        done = subprocess.run([promtool, "check", *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


# ---- a running job -------------------------------------------------------------------------------------------------

CONFIG = tiny_experiment(
    "curriculum: {type: adaptive, beta: 0.5}",
    "runtime: {log_format: json, trials_at_once: 1}",
    "search: {space: {seed: [0, 1]}}",
    name="watched",
    steps=20_000,
    interval=200,
)


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.long
def test_a_running_job_is_seen_from_outside(local_cluster: Any, tmp_path: Path) -> None:
    """Stages and trials by `afrl jobs status`, metrics by what Prometheus would scrape, its log line by line."""
    (tmp_path / "watched.yaml").write_text(CONFIG)
    job_id = local_cluster.afrl_json("submit", tmp_path / "watched.yaml")["id"]
    for status in statuses(local_cluster, job_id):
        running = [trial for trial in (status["report"] or {}).get("trials", []) if trial["env_steps"] >= 1000]
        if running:
            break
    [trial] = running
    report = status["report"]
    assert {stage["name"]: stage["status"] for stage in report["stages"]} == {
        "data": "finished",
        "pretrain": "finished",
        "attack": "finished",
        "finetune": "running",
        "evaluation": "waiting",
    }
    assert (trial["status"], trial["wanted_steps"], trial["failures"]) == ("running", 20_000, 0)
    assert trial["name"].startswith("adaptive beta=0.5")
    assert 0.0 <= trial["q"] <= 1.0
    assert {"normal", "random", "adversarial", "mean"} == trial["score"].keys()
    assert report["queues"]["trials"] == 1
    shown = local_cluster.afrl("jobs", "status", job_id).stdout
    assert f"{trial['name']} ({trial['id']})  running" in shown
    assert "waiting: 1 trials" in shown

    expected = {name for name in exported_names() if "failures" not in name} | RAYS_OWN
    wait_for(lambda: expected <= scraped(local_cluster, job_id).keys())
    metrics = scraped(local_cluster, job_id)
    assert {value for labels, value in metrics["ray_afrl_trials"] if labels["status"] == "running"} == {1.0}
    steps = [(labels, value) for labels, value in metrics["ray_afrl_env_steps_total"] if value]
    assert [(labels["trial"], labels["trial_name"]) for labels, _ in steps] == [(trial["id"], trial["name"])]
    assert steps[0][1] >= 1000

    local_cluster.afrl_json("jobs", "stop", job_id)
    words = [
        json.loads(line)
        for line in local_cluster.afrl("jobs", "logs", job_id).stdout.splitlines()
        if line.startswith("{")
    ]
    assert {line["job"] for line in words} == {job_id}
    results = [line for line in words if line["message"] == "result"]
    assert results[0]["stage"] == "finetune"
    assert results[0]["trial"] == trial["id"]
    assert results[0].keys() >= {"env_steps", "q", "score"}


def statuses(cluster: Any, job_id: str, seconds: float = 400.0) -> Iterator[Any]:
    """What `afrl jobs status` says, every second until it has said enough."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        status = cluster.afrl_json("jobs", "status", job_id)
        assert status["status"] in ("PENDING", "RUNNING"), status
        yield status
        time.sleep(1)
    raise AssertionError(f"{job_id} got nowhere")


def scraped(cluster: Any, job_id: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    """(labels, value) of every metric of all nodes, of no job or of this one, by name."""
    samples: dict[str, list[tuple[dict[str, str], float]]] = {}
    for node in json.loads((cluster.storage.parent / "head" / "prom_metrics_service_discovery.json").read_text()):
        for target in node["targets"]:
            try:
                with urllib.request.urlopen(f"http://{target}/metrics", timeout=30) as answer:
                    text = answer.read().decode()
            except OSError:  # Ray lists a process before it listens; the caller comes again
                continue
            for name, labels, value in re.findall(r"^(\w+)\{(.*)\} (\S+)$", text, re.MULTILINE):
                known = dict(re.findall(r'(\w+)="([^"]*)"', labels))
                if known.get(JOB_LABEL, job_id) == job_id:
                    name = next((name.removesuffix(end) for end in SUFFIXES if name.endswith(end)), name)
                    samples.setdefault(name, []).append((known, float(value)))
    return samples


def wait_for(condition: Any, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(2)
