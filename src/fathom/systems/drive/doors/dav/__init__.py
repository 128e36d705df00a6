"""WebDAV, class 1 and 2: a drive as a folder of any desktop, and of rclone."""

from __future__ import annotations

from fathom.errors import Refusal
from fathom.web.app import Gate, Reply, Stream, Visit
from fathom.web.limits import Limits
from fathom.web.problems import Problem

from ...api import Drive, UserId
from ..body import Body
from ..conditions import Unmet
from ..reading import Reading
from ..saving import Saving
from ..unbuffered import Spoken
from .asked import Asked, Elsewhere, NoSpace
from .basic import CHALLENGE, Basic
from .locks import Locked, Locks
from .markup import local, text
from .methods import ALLOW, XML, Methods, Never, document

__all__ = ["Dav"]

_STORING = ("PUT", "COPY", "PROPPATCH")


class Dav:
    """All that lies below `under`."""

    def __init__(
        self, drive: Drive, gate: Gate[UserId], limits: Limits, under: str, reading: Reading, saving: Saving
    ) -> None:
        self._drive, self._under = drive, under
        self._basic, self._locks = Basic(drive, gate, limits), Locks()
        self._methods = Methods(reading, saving)
        self._by_name = {
            "HEAD": self._methods.get,
            **{name: getattr(self._methods, name.lower()) for name in ALLOW.split(", ") if name != "HEAD"},
        }
        self.operations = frozenset(f"dav {name}" for name in self._by_name)

    def find(self, method: str, path: str) -> Spoken | None:
        if path != self._under and not path.startswith(f"{self._under}/"):
            return None
        known = method if method in self._by_name else "OPTIONS"
        return Spoken(f"dav {known}", self._answer, self)

    def problem(self, it: Problem) -> Reply:
        """Say a problem as far as WebDAV has words for it."""
        fields = [CHALLENGE] if it.status == 401 else []
        body = document(f'<m:message xmlns:m="urn:fathom">{text(it.detail or it.title)}</m:message>')
        return Reply(it.status, body, fields, XML)

    async def _answer(self, visit: Visit, body: Body) -> Reply | Stream:
        try:
            user = await self._basic.enter(visit)
        except Refusal as refusal:
            if refusal.code != "unauthorised":
                raise
            return self.problem(Problem(title="", status=401, code="unauthorised", detail=refusal.says))
        method = visit.scope["method"]
        answer = self._by_name.get(method)
        if answer is None:
            return self._never(Never(405, f"there is no {method[:20]} here"))
        asked = Asked(self._drive, self._locks, visit, body, user, self._under)
        try:
            try:
                await asked.find()
            except NoSpace:
                if method == "PROPFIND":
                    return await self._methods.spaces(asked)
                if method != "OPTIONS":
                    raise Never(405, "this is only the folder of all spaces") from None
            return await answer(asked)
        except Unmet:
            return self._never(Never(412, "it is not what you think: read it again"))
        except Elsewhere:
            return self._never(Never(502, "the destination is no place that can be written to from here"))
        except Never as never:
            return self._never(never)
        except Locked as locked:
            href = asked.href(locked.lock.names, folder=False)
            inside = local("lock-token-submitted", local("href", text(href)))
            return Reply(423, document(inside), [], XML)
        except Refusal as refusal:
            if refusal.code == "invalid":
                return self._never(Never(400, refusal.says))
            if refusal.code == "too-large" and method in _STORING:
                return self._never(Never(507, refusal.says))
            raise

    def _never(self, never: Never) -> Reply:
        said = f'<m:message xmlns:m="urn:fathom">{text(never.says)}</m:message>'
        fields = [(b"allow", ALLOW.encode())] if never.status == 405 else []
        return Reply(never.status, document(never.error + said), fields, XML)
