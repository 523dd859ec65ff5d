"""The endpoints that say how the server is doing, and those that its page changes something by.

None of them is for a page of another site, also not for one that `--cors` lets use the API.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..endpoint import got
from ..errors import refusal
from ..middleware.guard import refuse_cross_site
from ..requests import media_type
from ..status import Status
from .answer import DATA_HEADERS, json_response


async def status(request: Request) -> Response:
    """GET /status.json"""
    refuse_cross_site(request.scope)
    report = await _status_of(request).report(f"{request.base_url}v1")
    return json_response(report, DATA_HEADERS)


async def refresh_limits(request: Request) -> Response:
    """POST /status/limits: asks the backend, at most once a minute."""
    _check_change(request)
    return json_response(await _status_of(request).refresh_limits(), DATA_HEADERS)


async def stop(request: Request) -> Response:
    """POST /status/requests/{id}/stop"""
    _check_change(request)
    request_id = request.path_params["id"]
    if not request.app.state.reports.record.stop(request_id):
        message = "No running request of this id can be stopped: it may have ended by now."
        raise refusal(404, "not_found", message)
    return json_response({"request_id": request_id, "stopped": True}, DATA_HEADERS)


def _status_of(request: Request) -> Status:
    return request.app.state.status  # type: ignore[no-any-return]


def _check_change(request: Request) -> None:
    """A form of another site comes with any of three types, and never with this one."""
    refuse_cross_site(request.scope)
    if media_type(request) != "application/json":
        message = "Send Content-Type: application/json; the body may be empty."
        raise refusal(415, "unsupported_media_type", message)


ROUTES = [
    Route("/status.json", got(status), methods=["GET"], include_in_schema=False),
    Route("/status/limits", got(refresh_limits), methods=["POST"], include_in_schema=False),
    Route("/status/requests/{id}/stop", got(stop), methods=["POST"], include_in_schema=False),
]
