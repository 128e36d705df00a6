"""What a door can do, as OpenAPI 3.1 and as a page that needs no network."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from litestar import Litestar
from litestar.openapi import OpenAPIConfig

from fathom.web.problems import MEDIA_TYPE, STATUS, Problem
from fathom.web.reply import Reply

__all__ = ["document", "operations", "page"]

_VERBS = ("get", "put", "post", "delete", "patch")
_SAYS = {
    400: "The request cannot be read",
    401: "The token is missing or worthless",
    403: "Not allowed",
    404: "There is no such thing, or it is not for you",
    408: "The body took too long to arrive",
    409: "Contradicts what is already there",
    413: "The body is too large",
    415: "The body is not JSON",
    422: "The request does not fit its description",
    429: "Too many requests: come again after Retry-After",
    500: "Something broke here; the log has it under request_id",
    503: "Not possible just now: come again after Retry-After",
}


def document(title: str, version: str, says: str, handlers: Sequence[Any], *, known: str | None) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of these handlers, with the problems that each may answer.

    `known`: handlers with a parameter of this name need a bearer token.
    """
    config = OpenAPIConfig(title=title, version=version, description=says or None, use_handler_docstrings=True)
    # A second application, because Litestar would serve its document itself, with pages that load from elsewhere.
    described = Litestar(list(handlers), openapi_config=config, dependencies=_nobody(known), logging_config=None)
    found = described.openapi_schema.to_schema()
    needs = _who_needs(described, known)
    for method, path, operation in _each(found):
        secured = (method, path) in needs
        for it in operation.get("parameters", ()):
            _absent_is_not_null(it["schema"])
        operation["responses"] = {
            **{status: it for status, it in operation["responses"].items() if status.startswith("2")},
            **{str(status): _problem(status) for status in _statuses(operation, secured)},
            "default": _problem(None),
        }
        if secured:
            operation["security"] = [{"token": []}]
    schemas = found.setdefault("components", {}).setdefault("schemas", {})
    for name in _closed(described):
        schemas[name]["additionalProperties"] = False
    (_,), parts = msgspec.json.schema_components([Problem], ref_template="#/components/schemas/{name}")
    schemas.update(parts)
    schemas["Problem"]["properties"]["code"]["enum"] = sorted(STATUS)
    if known:
        found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return found


def operations(document: dict[str, Any]) -> dict[tuple[str, str], str]:
    """Return method and path → operation id."""
    return {(method.upper(), path): operation["operationId"] for method, path, operation in _each(document)}


def page(document: dict[str, Any]) -> Reply:
    """Return the document as one page of HTML that loads nothing."""
    rows: list[str] = []
    for method, path, operation in _each(document):
        asks = [f"{it['name']} ({it['in']})" for it in operation.get("parameters", ())]
        if "requestBody" in operation:
            asks.append("a JSON body")
        if "security" in operation:
            asks.append("a token")
        answers = ", ".join(status for status in operation["responses"] if status != "default")
        says = operation.get("description") or operation.get("summary") or ""
        cells = (f"{method.upper()} {path}", says, ", ".join(asks), answers)
        rows.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>")
    title = html.escape(document["info"]["title"])
    body = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>"
        f"<h1>{title} {html.escape(document['info']['version'])}</h1>"
        f"<p>{html.escape(document['info'].get('description') or '')}</p>"
        "<p>For programs: <a href=openapi.json>openapi.json</a> (OpenAPI 3.1)</p>"
        "<table><tr><th>operation<th>does<th>takes<th>answers</tr>" + "".join(rows) + "</table></html>"
    )
    style = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{style}'; frame-ancestors 'none'; base-uri 'none'"
    return Reply(200, body.encode(), [(b"content-security-policy", policy.encode())], b"text/html; charset=utf-8")


_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.4rem .8rem .4rem 0;"
    "border-bottom:1px solid #ddd}td:first-child{font-family:ui-monospace,monospace;white-space:nowrap}"
)


def _each(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document.get("paths", {}).items():
        for method in _VERBS:
            if method in item:
                yield method, path, item[method]


def _closed(described: Litestar) -> set[str]:
    """Return the names of bodies that refuse fields they do not know; Litestar's schemas do not say so."""
    bodies = [
        handler.parsed_data_field.annotation
        for route in described.routes
        for handler in getattr(route, "route_handlers", ())
        if handler.parsed_data_field is not None
    ]
    return {
        body.__name__
        for body in bodies
        if isinstance(body, type) and issubclass(body, msgspec.Struct) and body.__struct_config__.forbid_unknown_fields
    }


def _absent_is_not_null(schema: dict[str, Any]) -> None:
    """Let an optional parameter's schema say what it may be, where Litestar says that it may be null."""
    may_be = [it for it in schema.get("oneOf", ()) if it != {"type": "null"}]
    if len(may_be) == 1:
        del schema["oneOf"]
        schema |= may_be[0]


def _nobody(known: str | None) -> dict[str, Any]:
    from litestar.di import Provide

    async def nobody() -> None:
        return None

    return {known: Provide(nobody)} if known else {}


def _who_needs(described: Litestar, known: str | None) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for route in described.routes:
        path = getattr(route, "path_format", route.path)
        for handler in getattr(route, "route_handlers", ()):
            if known in getattr(handler, "parsed_fn_signature").parameters:  # noqa: B009
                found.update((method.lower(), path) for method in handler.http_methods)
    return found


def _statuses(operation: dict[str, Any], secured: bool) -> list[int]:
    statuses = [400, 422, 429, 500, 503]
    if secured:
        statuses += [401, 403]
    if any(it["in"] == "path" for it in operation.get("parameters", ())):
        statuses += [404, 409]
    if "requestBody" in operation:
        statuses += [408, 409, 413, 415]
    return sorted(set(statuses))


def _problem(status: int | None) -> dict[str, Any]:
    says = _SAYS[status] if status else "Any other problem"
    return {"description": says, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
