class UserError(Exception):
    """A command or a file that is wrong: printed as `error: WHAT — WHAT TO DO`, exit code 2."""

    def __init__(self, what: str, remedy: str):
        super().__init__(f"{what} — {remedy}")
