"""The `afrl` command: parse, load the settings, hand over to the pipeline."""

import os
import sys
import traceback
from collections.abc import Sequence

from afrl_ray.cli.parser import parse_arguments
from afrl_ray.errors import TrialsFailedError

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `arguments` (the process's own where None); returns the exit status.

    A mistake in the settings or the files is one line on standard error and status 2; an interruption is 130.
    """
    parsed = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    try:
        parsed.handler(parsed)
        sys.stdout.flush()
    except KeyboardInterrupt as interruption:
        outcome = str(interruption) or "the same command continues where this one stopped"
        print(f"interrupted: {outcome}", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, ImportError, TrialsFailedError) as error:
        if parsed.traceback:
            traceback.print_exc()
        for line in _message(error).splitlines():
            print(f"error: {line}", file=sys.stderr)
        return EXIT_ERROR
    return 0


def _message(error: Exception) -> str:
    """What to show of `error`; of one that crossed Ray, the error in the worker and not its long report."""
    cause = getattr(error, "cause", None)
    return str(cause if isinstance(cause, Exception) else error) or type(error).__name__
