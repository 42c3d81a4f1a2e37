"""What is refused, with HTTP's number for it, and what is asked for again."""

from stylebank.errors import StyleBankError


class RefusedError(StyleBankError):
    """A request that is refused.

    Args:
        status: HTTP's number.
        line: why, and what to do.
        more: other keys of the answer.
    """

    def __init__(self, status: int, line: str, **more: object) -> None:
        super().__init__(line)
        self.status, self.more = status, more


def gone(what: str, **more: object) -> RefusedError:
    """What is answered where something was forgotten that the page has still: it sends it again."""
    return RefusedError(410, f"{what}: is no longer here; send it again", gone=True, **more)
