"""One body for everything that goes wrong: ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ems.errors import DataError, EmsError, Infeasible, InvalidSpec
from ems.services.models import Problem

TITLES = {
    400: "bad request",
    401: "no token, or one that is not known",
    403: "not allowed with this token",
    404: "not found",
    405: "method not allowed",
    409: "cannot be done as things stand",
    413: "body too large",
    422: "not as described",
    429: "too many requests",
    503: "not ready",
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {
        "description": title,
        "content": {"application/problem+json": {"schema": Problem.model_json_schema()}},
    }
    for status, title in TITLES.items()
}


class Refused(EmsError):
    """A request that is refused with a status of its own."""

    def __init__(self, status: int, detail: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.headers = status, headers


def problem(
    path: str,
    status: int,
    detail: str,
    *,
    shortfalls: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """The reply that says what went wrong."""
    body = Problem(
        title=TITLES.get(status, "error"),
        status=status,
        detail=detail,
        instance=path,
        shortfalls=shortfalls or {},
    )
    return JSONResponse(
        body.model_dump(),
        status_code=status,
        media_type="application/problem+json",
        headers=headers,
    )


def with_problems(app: FastAPI) -> None:
    """Turn every error into a problem."""

    def of_package(request: Request, error: Exception) -> JSONResponse:
        path = request.url.path
        if isinstance(error, Refused):
            return problem(path, error.status, str(error), headers=error.headers)
        if isinstance(error, Infeasible):
            return problem(path, 409, str(error), shortfalls=error.shortfalls)
        status = 422 if isinstance(error, InvalidSpec) else 409
        return problem(path, 503 if isinstance(error, DataError) else status, str(error))

    def of_request(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return problem(request.url.path, 422, f"{where}: {first['msg']}; see /docs")

    def of_http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        headers = dict(error.headers) if error.headers else None
        detail = f"{error.detail}; see /docs for what is served here"
        return problem(request.url.path, error.status_code, detail, headers=headers)

    app.add_exception_handler(EmsError, of_package)
    app.add_exception_handler(RequestValidationError, of_request)
    app.add_exception_handler(HTTPException, of_http)
