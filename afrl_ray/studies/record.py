"""study.json, which stands beside every study's results: what it says of them, and what they are made of."""

from collections.abc import Sequence
from typing import Any

from afrl_ray.pipeline.identity import content_key, result_identity
from afrl_ray.studies.plan import Case, Plan

STUDY = "study.json"
MADE_OF = "made of"
COMMITS = "commits of the work"
EARLIER = "earlier results"


def made_of(plan: Plan, cases: Sequence[Case]) -> dict[str, Any]:
    """Whatever the results depend on: what is drawn, how much is done, and the content of every case."""
    drawn = plan.study.model_dump(mode="json", include={"results", "conditions", "optimizers"})
    size = plan.budget.model_dump(mode="json", exclude={"seeds", "robots", "grid"})
    return {"drawn": drawn, "size": size, "cases": {case.name: _content(case) for case in cases}}


def _content(case: Case) -> str:
    own = result_identity(case.settings, case.trained)
    return content_key(own if case.match is None else {"matched to": _content(case.match), "case": own})
