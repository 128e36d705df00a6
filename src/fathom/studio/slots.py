"""What stands on the page, by slot: everything is put into words here, and the page only shows it.

A slot's key says what becomes of its value: `name` is the text of the elements that have this slot, `name@attribute`
one of their attributes, `name?attribute` one that is there or not ("1" or ""), `name!` what is inside, as HTML.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import chain

from fathom.studio import strip
from fathom.studio.strip import Sample
from fathom.web.control import HARMS, SERVICE, Flow, Lamp, Part, State

__all__ = ["NEEDLES", "Slots", "slots_of", "words"]

Slots = dict[str, str]

NEEDLES = 2  # the first operations get a needle each
SWEEP = 120.0  # degrees to either side
MARKS_SHOWN = 12
STATES = {
    "up": "up",
    "down": "down",
    "paused": "paused",
    "slow": "slow",
    "cut": "cut off",
    "silent": "does not answer",
}


def slots_of(state: State, samples: Sequence[Sample]) -> Slots:
    """Return every slot of the page."""
    return dict(
        chain(
            _head(state),
            *(_flow(number, flow) for number, flow in enumerate(state.flows)),
            *(_part(part, sum(flow.per_s for flow in state.flows)) for part in state.parts),
            _decisions(state),
            *(_lamp(number, lamp) for number, lamp in enumerate(state.lamps)),
            _strip(state, samples),
        )
    )


def words(name: str) -> str:
    """Return an identifier as it is said.

    >>> words("no_acknowledged_post_is_lost")
    'no acknowledged post is lost'
    """
    return name.replace("_", " ").replace("-", " ")


Pairs = Iterator[tuple[str, str]]


def _head(state: State) -> Pairs:
    yield "up", _ago(state.at_s)
    yield "paused", state.paused
    yield "paused?hidden", "" if state.paused else "1"
    yield "load", f"{state.load:g}×"
    yield "load.factor@value", f"{state.load:g}"
    yield "door.per_s", _rate(state.door_per_s)
    yield "people.per_s", _rate(sum(flow.per_s for flow in state.flows))
    yield "unsent", f"{state.unsent} calls were not sent: too many were under way" if state.unsent else ""
    broken = [lamp for lamp in state.lamps if lamp.state == "broken"]
    yield "verdict", f"{len(broken)} broken" if broken else "no law is broken"
    yield "verdict@data-state", "broken" if broken else "kept"
    for stock in state.stocks:
        yield f"stock.{stock.name}", _number(stock.value)


def _flow(number: int, flow: Flow) -> Pairs:
    slot = f"flow.{flow.op}"
    yield f"{slot}.per_s", _rate(flow.per_s)
    yield f"{slot}.failed", _rate(flow.failed_per_s) if flow.failed_per_s else "–"
    yield f"{slot}.failed@data-state", "broken" if flow.failed_per_s else ""
    yield f"{slot}.p50", _ms(flow.p50_ms)
    yield f"{slot}.p99", _ms(flow.p99_ms)
    if number < NEEDLES:
        most = strip.top([max(10.0, flow.per_s)])
        angle = SWEEP * (2 * min(1.0, flow.per_s / most) - 1)
        yield f"needle.{flow.op}@transform", f"rotate({angle:.1f} 100 100)"
        yield f"needle.{flow.op}.most", f"{most:g}"
        yield f"needle.{flow.op}.said@aria-label", f"{words(flow.op)}: {_rate(flow.per_s)}"


def _part(part: Part, people_per_s: float) -> Pairs:
    slot = f"part.{part.name}"
    yield f"{slot}@data-state", part.state
    yield (
        f"{slot}.state",
        STATES[part.state] + ("" if part.heals_in_s is None else f", heals in {part.heals_in_s:.0f} s"),
    )
    yield f"{slot}.version", part.version
    yield f"{slot}.cpu", "" if part.cpu is None else f"{part.cpu:.0%} of a core"
    per_s = part.per_s if part.name != SERVICE else part.per_s + people_per_s
    silent = part.name != SERVICE and (part.answer_ms is None or part.state in ("down", "paused", "cut"))
    yield f"{slot}.edge", f"{_rate(per_s)[:-2]} {part.unit}/s"
    yield f"{slot}.line@data-flow", "none" if silent else "0" if per_s < 0.5 else "1" if per_s < 50 else "2"
    yield f"{slot}.answer", "no answer" if silent else f"answers in {_ms(part.answer_ms)}"
    yield f"{slot}.answer@data-state", "down" if silent else ""
    for what in HARMS:
        yield f"{slot}.{what}?disabled", "" if what in part.can and part.state in ("up", "silent") else "1"
    yield f"{slot}.heal?disabled", "1" if part.state == "up" else ""


def _decisions(state: State) -> Pairs:
    for question in state.questions:
        for option in question.options:
            serving = option.name == question.serving
            yield f"decision.{question.name}.{option.name}@aria-pressed", "true" if serving else "false"


def _lamp(number: int, lamp: Lamp) -> Pairs:
    slot = f"law.{number}"
    says = {
        "kept": f"kept, tried {lamp.tried} times",
        "broken": "broken",
        "untried": "nothing has tried it yet",
        "waiting": "waits until what was accepted has taken effect",
    }
    yield f"{slot}@data-state", lamp.state
    yield f"{slot}.state", says[lamp.state]
    yield (
        f"{slot}.proofs!",
        "".join(
            f"<p>{escape(proof.says)}</p><ol>{''.join(f'<li>{escape(step)}</li>' for step in proof.steps)}</ol>"
            for proof in lamp.proofs
        ),
    )
    yield f"{slot}.proofs?hidden", "" if lamp.proofs else "1"


def _strip(state: State, samples: Sequence[Sample]) -> Pairs:
    now_s = state.at_s
    calls = strip.top(chain((s.answered for s in samples), (s.failed for s in samples), (10.0,)))
    late = strip.top(chain((s.p99_ms for s in samples), (10.0,)))
    yield "strip.calls", f"{calls:g} calls/s"
    yield "strip.late", f"{late:g} ms"
    for field, most in (("answered", calls), ("failed", calls), ("p99_ms", late)):
        yield f"strip.{field}@points", strip.points(samples, field, most, now_s)
    yield "strip.marks!", strip.marks(state.marks, now_s)
    newest = list(reversed(state.marks))[:MARKS_SHOWN]
    yield (
        "marks!",
        "".join(
            f'<li class="{escape(mark.kind)}"><time>{_ago(mark.at_s)}</time> {escape(mark.what)}</li>'
            for mark in newest
        ),
    )


# ── figures ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _rate(per_s: float) -> str:
    return f"{per_s:,.0f}/s" if per_s >= 10 else f"{per_s:.1f}/s"


def _ms(ms: float | None) -> str:
    if ms is None:
        return "–"
    return f"{ms:,.0f} ms" if ms >= 10 else f"{ms:.1f} ms"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:.2f}"


def _ago(seconds: float) -> str:
    minutes, s = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{s:02}" if hours else f"{minutes}:{s:02}"
