"""Candidates' episodes that outlive the process that had them played."""

import hashlib
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from afrl_ray.perturbations import Fault
from afrl_ray.rollouts.candidates import Candidate, CandidateEpisodes
from afrl_ray.rollouts.distributed import CandidateRunner
from afrl_ray.storage import replacing

_WRITE_INTERVAL = 10.0
"""Seconds between two writes: what a kill costs a search at most, with the round that was being played."""


@dataclass(frozen=True)
class _Round:
    identity: str
    """Hash of the candidates."""
    episodes: list[CandidateEpisodes]


class KeptRollouts:
    """A `CandidateRunner` that writes what each round of another one came to into a file.

    A search that begins again asks for the same rounds again, and is answered from the file up to the first that is not
    there: so it goes on where it was, and finds what it would have found.
    """

    def __init__(
        self, runner: CandidateRunner, file: Path, work: str, written: Callable[[], None] = lambda: None
    ) -> None:
        """`work` says what is attacked, and in what environment; a file of other work is not read.

        `written` is called after every write.
        """
        self._runner = runner
        self._file = file
        self._work = work
        self._written = written
        self._rounds = _read(file, work)
        self._asked = 0
        self._last_write = time.monotonic()

    def play(self, candidates: Sequence[Candidate], fault: Fault | None = None) -> list[CandidateEpisodes]:
        """The episodes of each candidate under `fault`, in their order."""
        identity = _identity(candidates)
        if self._asked == len(self._rounds) or self._rounds[self._asked].identity != identity:
            del self._rounds[self._asked :]
            self._rounds.append(_Round(identity, self._runner.play(candidates, fault)))
            if time.monotonic() > self._last_write + _WRITE_INTERVAL:
                self._write()
        self._asked += 1
        return self._rounds[self._asked - 1].episodes

    def _write(self) -> None:
        played = [one for round_ in self._rounds for one in round_.episodes]
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self._file) as temporary, temporary.open("wb") as stream:
            np.savez(
                stream,
                work=np.array(self._work),
                identities=np.array([round_.identity for round_ in self._rounds]),  # (rounds,)
                candidates=np.array([len(round_.episodes) for round_ in self._rounds]),  # (rounds,)
                episodes=np.array([len(one.returns) for one in played]),  # (sum of candidates,)
                returns=np.concatenate([one.returns for one in played]),  # (sum of episodes,)
                lengths=np.concatenate([one.lengths for one in played]),  # (sum of episodes,)
                stopped=np.array([one.stopped for one in played]),  # (sum of candidates,)
                losses=np.array([one.loss for one in played]),  # (sum of candidates,)
            )
        self._last_write = time.monotonic()
        self._written()


def _identity(candidates: Sequence[Candidate]) -> str:
    digest = hashlib.sha256()
    for candidate in candidates:
        for part in astuple(candidate):
            digest.update(part.tobytes() if isinstance(part, np.ndarray) else repr(float(part)).encode())
    return digest.hexdigest()


def _read(file: Path, work: str) -> list[_Round]:
    """The rounds in `file`; none where there is no such file, it cannot be read, or it is of other work."""
    try:
        with np.load(file, allow_pickle=False) as content:
            arrays: dict[str, Any] = dict(content)
        if str(arrays["work"]) != work:
            return []
        ends = np.cumsum(arrays["episodes"])[:-1]
        columns = (np.split(arrays["returns"], ends), np.split(arrays["lengths"], ends))
        played = [
            CandidateEpisodes(returns, lengths, bool(stopped), float(loss))
            for returns, lengths, stopped, loss in zip(*columns, arrays["stopped"], arrays["losses"], strict=True)
        ]
        ends = np.cumsum(arrays["candidates"])
        rounds = zip(arrays["identities"], ends - arrays["candidates"], ends, strict=True)
        return [_Round(str(identity), played[begin:end]) for identity, begin, end in rounds]
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return []
