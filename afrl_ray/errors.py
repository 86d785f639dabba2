"""What users are told of in one line, though it is no mistake of theirs."""

from collections.abc import Iterable


class TrialsFailedError(RuntimeError):
    """Some trials could not be finished. The others are kept, and the same command tries the failed ones again."""

    def __init__(self, errors: Iterable[Exception], total: int) -> None:
        self.errors = tuple(errors)
        last_line = (str(self.errors[0]).strip() or type(self.errors[0]).__name__).splitlines()[-1]
        super().__init__(f"{len(self.errors)} of {total} trials failed, the first with: {last_line}")
