"""The page and what its buttons do: forms that work without a script, and a stream of what has changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Litestar, Request, Response, get, post
from litestar.exceptions import ClientException, HTTPException
from litestar.params import FromPath
from litestar.response import Redirect, Stream

from fathom.errors import FathomError
from fathom.studio import strip
from fathom.studio.relay import PAGES_MAX, Relay
from fathom.studio.session import CSRF, Session
from fathom.studio.slots import NEEDLES, words
from fathom.web.control import HARMS, LOAD_MAX, SERVICE, Harm, Heal, Load, Order, Switch

__all__ = ["LASTS_S", "app"]

HERE = Path(__file__).parent
BODY_BYTES_MAX = 4096
LASTS_S = {"2": 2.0, "15": 15.0, "60": 60.0, "until healed": None}
STATIC = {"live.css": "text/css; charset=utf-8", "live.js": "text/javascript; charset=utf-8"}
FormRequest = Request[Any, Any, Any]


def app(relay: Relay, key: str) -> Session:
    """Return the ASGI application that shows what `relay` hears to whoever has the key."""
    templates = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    templates.filters["words"] = words
    pages = _Pages(relay, templates)
    session = Session(pages.litestar(), key)
    pages.session = session
    return session


class _Pages:
    def __init__(self, relay: Relay, templates: Environment) -> None:
        self._relay, self._templates = relay, templates
        self.session: Session

    def litestar(self) -> Litestar:
        @get("/", media_type="text/html")
        async def live() -> str:
            """The page, as things stand now."""
            return self._rendered()

        @get("/events")
        async def events() -> Response[Any]:
            """What has changed, as server-sent events."""
            if self._relay.pages >= PAGES_MAX:
                raise HTTPException(status_code=503, detail=f"{PAGES_MAX} pages are open already")
            return Stream(self._events(), media_type="text/event-stream")

        @get("/{name:str}")
        async def static(name: FromPath[str]) -> Response[bytes]:
            """The page's style and script."""
            if name not in STATIC:
                raise HTTPException(status_code=404, detail="there is no such page")
            return Response((HERE / name).read_bytes(), media_type=STATIC[name])

        @post("/harm", status_code=200)
        async def harm(request: FormRequest) -> Response[Any]:
            form = await self._form(request)
            what = _one_of(form, "what", HARMS)
            lasts_s = LASTS_S[_one_of(form, "lasts", LASTS_S)]
            return await self._done(request, Harm(_said(form, "part"), what, lasts_s))

        @post("/heal", status_code=200)
        async def heal(request: FormRequest) -> Response[Any]:
            form = await self._form(request)
            return await self._done(request, Heal(_said(form, "part")))

        @post("/switch", status_code=200)
        async def switch(request: FormRequest) -> Response[Any]:
            form = await self._form(request)
            return await self._done(request, Switch(_said(form, "decision"), _said(form, "approach")))

        @post("/load", status_code=200)
        async def load(request: FormRequest) -> Response[Any]:
            form = await self._form(request)
            try:
                factor = float(_said(form, "factor"))
            except ValueError:
                raise ClientException("the factor is not a number") from None
            return await self._done(request, Load(factor))

        return Litestar(
            [live, events, static, harm, heal, switch, load],
            openapi_config=None,
            logging_config=None,
            request_max_body_size=BODY_BYTES_MAX,
            exception_handlers={FathomError: _refused, HTTPException: _wrong},
        )

    def _rendered(self) -> str:
        state = self._relay.state
        assert state is not None
        return self._templates.get_template("live.html").render(
            state=state,
            slots=self._relay.slots,
            csrf=self.session.csrf,
            lasts=LASTS_S,
            needles=state.flows[:NEEDLES],
            engines=[part for part in state.parts if part.name != SERVICE],
            service=next(part for part in state.parts if part.name == SERVICE),
            harms=HARMS,
            load_max=LOAD_MAX,
            strip=strip,
        )

    async def _events(self) -> AsyncIterator[bytes]:
        async for patch in self._relay.patches({}):
            yield b"data: " + msgspec.json.encode(patch) + b"\n\n"
        yield b"event: ended\ndata: {}\n\n"

    async def _form(self, request: FormRequest) -> dict[str, str]:
        """Return the form's fields; refuse one that is not from this page."""
        try:
            fields = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=20)
        except ValueError:
            raise ClientException("the form has too many fields") from None
        form = {name: values[0] for name, values in fields.items()}
        if not self.session.may(form.get(CSRF)):
            raise HTTPException(status_code=403, detail="this form is not from this page: open it anew")
        return form

    async def _done(self, request: FormRequest, order: Order) -> Response[Any]:
        """Carry out an order: a script is told that it is done, a form goes back to the page."""
        await self._relay.order(order)
        if _is_script(request):
            return Response(None, status_code=200)
        return Redirect("/", status_code=303)


def _is_script(request: FormRequest) -> bool:
    return "application/json" in request.headers.get("accept", "")


def _said(form: dict[str, str], name: str) -> str:
    if not form.get(name):
        raise ClientException(f"the form does not say {name}")
    return form[name]


def _one_of(form: dict[str, str], name: str, known: Any) -> Any:
    if (said := _said(form, name)) not in known:
        raise ClientException(f"{name} is one of {', '.join(known)}")
    return said


def _refused(request: FormRequest, told: FathomError) -> Response[Any]:
    return _answer(request, 409, told.what, told.why, told.fix)


def _wrong(request: FormRequest, told: HTTPException) -> Response[Any]:
    return _answer(request, told.status_code, told.detail, "", "go back to the page")


def _answer(request: FormRequest, status: int, what: str, why: str, fix: str) -> Response[Any]:
    if _is_script(request):
        return Response({"what": what, "why": why, "fix": fix}, status_code=status)
    return Response(f"{what}\n{why}\n{fix}\n", status_code=status, media_type="text/plain")
