"""python -m stylebank."""

import signal
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Load the commands and run one; Ctrl-C while they load ends the program without a word, as nothing has begun."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:  # not where a background job ignores it
        signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    try:
        from stylebank.cli import app
    finally:
        signal.signal(signal.SIGINT, handler)
    app.main()


if __name__ == "__main__":
    main()
