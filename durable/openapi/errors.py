"""Errors of tools that are made from OpenAPI documents, in the tree of ``errors``.

DurableError
├── SpecError                 an OpenAPI document of which no tools are made
│   ├── SpecUnavailable       it cannot be fetched or read
│   ├── SpecInvalid           it is no valid document, or asks for what is not supported
│   ├── SpecChanged           its hash is not the one that was pinned
│   └── TooManyOperations
└── ApiError                  a call of an API that did not succeed
    ├── AddressRefused        the host has an address that is not public: nothing was sent
    ├── ApiUnreachable        no connection: nothing was sent
    ├── ArgumentsInvalid      they do not fit the document's schema: nothing was sent
    ├── ApiBusy               refused for now; may be asked again later
    └── ApiRefused            the server answered with an error
StepTimeout
└── AnswerLost                sent, and no whole answer came: the outcome is unknown
"""

from __future__ import annotations

from durable.errors import DurableError, StepTimeout


class SpecError(DurableError):
    """No tools can be made from this OpenAPI document."""


class SpecUnavailable(SpecError):
    """This OpenAPI document cannot be fetched or read."""


class SpecInvalid(SpecError):
    """This OpenAPI document is not valid, or asks for something that is not supported."""


class SpecChanged(SpecError):
    """This OpenAPI document is not the one that was pinned."""

    def __init__(self, pinned: str, actual: str) -> None:
        super().__init__(
            f"the OpenAPI document has the sha256 {actual}, pinned is {pinned}; "
            "look at what has changed, then pin the new one"
        )


class TooManyOperations(SpecError):
    """This OpenAPI document has more operations than an agent should be given as tools."""

    def __init__(self, count: int, limit: int, names: tuple[str, ...]) -> None:
        super().__init__(
            f"{count} operations, max_tools is {limit}; choose with include=[...] or exclude=[...], or raise "
            "max_tools. "
            f"They are: {', '.join(names[:50])}{', ...' if len(names) > 50 else ''}"  # noqa: PLR2004 - enough to choose
        )


class ApiError(DurableError):
    """This API call did not succeed."""


class AddressRefused(ApiError):
    """This host has an address that is not public; nothing was sent."""

    def __init__(self, host: str, address: str) -> None:
        super().__init__(
            f"{host} resolves to {address}, which is no public address: nothing was sent; "
            f"name it in private_hosts=[{host!r}] if that is meant"
        )


class ApiUnreachable(ApiError):
    """No connection to the host; nothing was sent."""

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(f"{host} cannot be reached: {reason}; nothing was sent")


class ArgumentsInvalid(ApiError):
    """These arguments do not fit the document's schema; nothing was sent."""


class ApiRefused(ApiError):
    """This API call was answered with an error."""

    def __init__(self, message: str, status: int = 0, problem: object = None) -> None:
        self.status = status
        self.problem = problem
        super().__init__(message)


class ApiBusy(ApiError):
    """This API call was refused for now; ``retry_after`` is what the server said about when to come again."""

    def __init__(self, message: str, status: int = 0, retry_after: str | None = None) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(message)


class AnswerLost(StepTimeout):
    """This API call was sent and no whole answer came; its outcome is unknown."""

    def __init__(self, request: str, reason: str) -> None:
        self.step_key = request
        DurableError.__init__(self, f"{request} was sent, and no whole answer came: {reason}; its outcome is unknown")
