"""How a run of the program ends: what the user can put right is one line and exit code 2, Ctrl-C is 130."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Sequence

INTERRUPTED, UNEXPECTED = 130, 1
TRACEBACK = "MIDIGEN_TRACEBACK"  # set in the environment, it shows where an error came from


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. ``argv`` is what follows the program's name.

    As a program (without ``argv``) it ends here and now where threads are still at work beside it, as after an error
    while libraries are being loaded: an interpreter that winds up under a thread in the middle of C++ aborts.
    """
    code = _run(sys.argv[1:] if argv is None else list(argv))
    if argv is None and any(thread.daemon and thread.is_alive() for thread in threading.enumerate()):
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
    return code


def _run(argv: Sequence[str]) -> int:
    try:
        from midigen.cli import run

        code = run(argv)
        sys.stdout.flush()  # a closed pipe is noticed here, not after main has ended
        return code
    except KeyboardInterrupt:
        return _say("stopped", INTERRUPTED)
    except BrokenPipeError:
        # The reader (such as `head`) has enough. The interpreter's own flush at exit must not find the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        from midigen.errors import MidigenError

        if isinstance(error, MidigenError):
            return _say(str(error), error.exit_code)
        if isinstance(error, MemoryError):
            return _say("out of memory: ask for fewer bars or parts", MidigenError.exit_code)
        if isinstance(error, OSError) and error.strerror:
            where = f"{error.filename}: " if error.filename else ""
            return _say(f"{where}{error.strerror}", MidigenError.exit_code)
        return _say(
            f"unexpected {type(error).__name__}: {error}. This is a mistake in midigen: please report it with what "
            f"{TRACEBACK}=1 shows",
            UNEXPECTED,
        )


def _say(message: str, code: int) -> int:
    with contextlib.suppress(OSError):  # nobody may listen
        print(f"midigen: {' '.join(message.split())}", file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
