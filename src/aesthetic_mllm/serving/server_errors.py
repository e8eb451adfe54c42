"""What can go wrong with a server."""


class ServerError(RuntimeError):
    """A server that does not answer, refuses, or answers what is no rating; the message says what to do.

    Args:
        address: of the server, or of all that were tried.
        reason: what is wrong, and the remedy.
        status: HTTP status of the answer; `None` where there was none, or where it was fine.
    """

    def __init__(self, address: str, reason: str, status: int | None = None):
        super().__init__(f"{address}: {reason}")
        self.address, self.reason, self.status = address, reason, status

    def __reduce__(self) -> tuple[type, tuple[str, str, int | None]]:
        return type(self), (self.address, self.reason, self.status)


class NotServedError(ServerError):
    """What a server cannot do, and a checkpoint that is loaded here can."""
