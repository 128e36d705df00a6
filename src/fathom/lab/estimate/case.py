"""A case: a sheet's cells in sections, its limits, and what guides claim of it; written as TOML, read and checked here.

question = "What does a home timeline for 500 million people take?"
grows = "daily_users"          # what is ten times as large at 10x
answers = ["servers"]          # whose intervals and tornado are shown

[sheet.requests]               # a section; its cells in the order in which they are read
daily_users = { assume = "500M", says = "people who come on a day", source = "…" }
posts_per_day = { derive = "daily_users * posts_per_user_per_day", unit = "1/day" }
home_cpu_s = { measure = "home.cpu_s", assume = "1 ms", unit = "ms" }

[limits.disk]                  # what breaks: where `load` is more than `most`
load = "stored"
most = "shards * 4 TB"

[claims.CLM-205]               # what a guide says of it, and whether that is so
cell = "posts_per_day"
claimed = "250M/day"
verdict = "holds"
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal

import msgspec

from fathom.blocks.quantities import UNITS, Unit, unit
from fathom.errors import FathomError, nearest
from fathom.lab.estimate.amount import Amount, amount, fitting
from fathom.lab.estimate.formula import FUNCTIONS, Formula
from fathom.lab.estimate.telling import base_unit

__all__ = ["BLANK", "FOLDER", "ROOM", "Case", "Cell", "Claim", "Limit", "case_of", "cases", "read"]

FOLDER = Path(__file__).with_name("cases")
ROOM = "estimate.toml"
# A number and its unit, if it has one: all else that somebody sets a cell to is a formula.
_AMOUNT = re.compile(r"\s*[-+$]?[\d.][\d_,.]*(e[-+]?\d+)?\s*[A-Za-zµ%]*\s*([/*·]\s*[A-Za-zµ]+(\^\d+)?\s*)*", re.I)
BLANK = """question = "What does it take?"
grows = "daily_users"  # what is ten times as large at 10x
answers = ["stored"]   # what is asked: its interval, and what moves it

[sheet.requests]
daily_users = { assume = "1M..3M", says = "as likely anywhere between; 1M~3M is a lognormal, nine of ten between" }
writes_per_user_per_day = { assume = "2/day", unit = "1/day" }
peak_factor = { assume = 3, says = "the busiest second beside the mean" }
peak_writes_per_s = { derive = "daily_users * writes_per_user_per_day * peak_factor", unit = "1/s" }

[sheet.storage]
row_size = { assume = "1 KB", unit = "KB" }
kept = { assume = "3 year", unit = "year" }
copies = { assume = 3 }
stored = { derive = "daily_users * writes_per_user_per_day * row_size * kept * copies", unit = "TB" }

[limits.one_primary]
load = "peak_writes_per_s"
most = "10K/s"
says = "what one database takes of writes"
"""


class Cell(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, dict=True):
    """One cell as it is written: a formula, or an assumption that a measurement may replace."""

    assume: str | float | None = None
    derive: str | None = None
    measure: str | None = None  # an operation and what of it: home.cpu_s
    book: str | None = None  # a range that the book of prices assumes: utilisation
    unit: str | None = None
    says: str = ""
    source: str = ""
    name: str = ""
    section: str = ""
    set: bool = False  # by whoever asks, not by the case

    @cached_property
    def formula(self) -> Formula | None:
        return None if self.derive is None else Formula(self.derive)

    @cached_property
    def unit_of(self) -> Unit | None:
        """In which unit it is told; None where its formula or its assumption says it."""
        if self.unit is not None:
            return unit(self.unit)
        return None

    @cached_property
    def amount(self) -> Amount | None:
        """What is assumed of it, of the unit that it is told in."""
        if self.assume is None:
            return None
        found = amount(str(self.assume), self.unit_of)
        return found if self.unit_of is None else fitting(self.name, found, self.unit_of, named=self._names_its_unit)

    @property
    def _names_its_unit(self) -> bool:
        """Whether the name ends with its unit, as `posts_per_day` and `page_bytes` do."""
        assert self.unit_of is not None
        words = {"B": "bytes", "bit": "bits", "USD": "usd", "%": "percent"}
        above, *below = self.unit_of.text.replace("*", "/").split("/")
        ends = ([] if above == "1" else [f"_{words.get(above, above)}"]) + [f"_per_{words.get(b, b)}" for b in below]
        return bool(ends) and self.name.endswith("".join(ends))


class Limit(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What can be borne at most: it breaks where `load` is more than `most`, both formulas."""

    load: str
    most: str
    says: str = ""
    source: str = ""


class Claim(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What somebody says of a cell or a formula, and what is to be found of it.

    `holds`: it is within `within` of what comes out. `wrong`: it is not. `depends`: it is with the cells of `given`,
    and is not with those of `unless`. `right` is what comes out, written down: it must be met to its last digit. Where
    nothing is claimed, `so` is a comparison, and holds where that is true.
    """

    verdict: Literal["holds", "wrong", "depends"]
    cell: str = ""
    so: str = ""  # a formula, instead of a cell
    claimed: str = ""
    right: str = ""
    within: float = 0.02
    given: dict[str, str | float] = {}
    unless: dict[str, str | float] = {}
    says: str = ""
    source: str = ""
    id: str = ""


class _Written(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    question: str
    sheet: dict[str, dict[str, Cell]]
    source: str = ""
    grows: str = ""
    answers: list[str] = []
    limits: dict[str, Limit] = {}
    claims: dict[str, Claim] = {}


class Case(msgspec.Struct, frozen=True, dict=True):
    """A case that was read: its cells by name, in the order of its sheet."""

    name: str
    question: str
    cells: Mapping[str, Cell]
    source: str = ""
    grows: str = ""
    answers: tuple[str, ...] = ()
    limits: Mapping[str, Limit] = {}
    claims: Mapping[str, Claim] = {}
    file: Path | None = None

    def cell(self, name: str) -> Cell:
        """Return a cell; where there is none of this name, guess."""
        if name in self.cells:
            return self.cells[name]
        raise no_cell(name, self.cells, self.name)

    def having(self, settings: Mapping[str, str | float]) -> Case:
        """Return the same with other cells: each an amount, or a formula of other cells."""
        cells = dict(self.cells)
        for name, text in settings.items():
            known = cells.get(name)
            if known is None and self.file is not None:
                raise no_cell(name, self.cells, self.name)
            cells[name] = _said(name, str(text), known, {*cells, *settings})
        if not self.file:
            _check_names(cells, self.name)
        return msgspec.structs.replace(self, cells=cells)


def no_cell(name: str, known: Mapping[str, Cell], case: str) -> FathomError:
    """An error that guesses which cell was meant."""
    shown = [n for n, cell in known.items() if cell.derive is None and cell.book is None][:12]
    return FathomError(
        f"there is no cell '{name}'" + (f" in the estimate of {case}" if case else ""),
        why=f"its assumptions are {', '.join(shown)}" if shown else "the sheet is empty",
        fix=nearest(name, known, "see all of them: fathom estimate --formulas"),
    )


def _said(name: str, text: str, known: Cell | None, cells: set[str]) -> Cell:
    """Return the cell that somebody set: an amount where it begins like one and can be read, else a formula."""
    told = known.unit if known else None
    if told is None and known is not None and known.amount is not None:
        told = base_unit(known.amount.low)  # it stays what it was: a count, a time
    section, says = (known.section, known.says) if known else ("sheet", "")
    cell = Cell(name=name, section=section, says=says, unit=told, set=True)
    words = set(re.findall(r"[A-Za-z_]\w*", text))
    if not words & cells and all(_AMOUNT.fullmatch(part) for part in re.split(r"\.\.|~", text)):
        cell = msgspec.structs.replace(cell, assume=text)
        _ = cell.amount  # so that what is wrong with it is told of what was typed
        return cell
    return msgspec.structs.replace(cell, derive=text)


def case_of(name: str, text: str, file: Path | None = None) -> Case:
    """Return a case from its TOML; raise a FathomError that says where it is wrong."""
    try:
        written = msgspec.convert(tomllib.loads(text), _Written)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise FathomError(
            f"{file or name} is no case of an estimate",
            why=str(error),
            fix="it has a question and a sheet: begin with fathom estimate --new my.toml",
        ) from None
    cells: dict[str, Cell] = {}
    for section, members in written.sheet.items():
        for cell_name, cell in members.items():
            cell.name, cell.section = cell_name, section
            if cell_name in cells:
                raise FathomError(
                    f"{name} has the cell '{cell_name}' twice",
                    why=f"in {cells[cell_name].section} and in {section}",
                    fix="call one of them otherwise",
                )
            cells[cell_name] = cell
    _check_names(cells, name)
    for id, claim in written.claims.items():
        claim.id = id
    case = Case(
        *(name, written.question, cells, written.source, written.grows, tuple(written.answers)),
        *(written.limits, written.claims, file or FOLDER / f"{name}.toml"),
    )
    for asked in (
        *case.answers,
        *([case.grows] if case.grows else []),
        *(c.cell for c in case.claims.values() if c.cell),
    ):
        case.cell(asked)
    return case


def _check_names(cells: Mapping[str, Cell], case: str) -> None:
    for cell_name, cell in cells.items():
        if not cell_name.isidentifier() or cell_name in UNITS or cell_name in FUNCTIONS:
            raise FathomError(
                f"no cell can be called '{cell_name}'",
                why="a cell has a plain name, which is neither a unit nor a function",
                fix="join words with _: posts_per_day",
            )
        if cell.derive is None and cell.assume is None and cell.book is None:
            raise FathomError(
                f"the cell '{cell_name}' of {case} has no value",
                why="a cell is assumed, or derived; a measured one says what to assume until there is a run",
                fix=f'write {cell_name} = {{ assume = "…" }} or {{ derive = "…" }}',
            )


def read(file: Path, name: str = "") -> Case:
    """Return the case in a file."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FathomError(
            f"{file} cannot be read",
            why=getattr(error, "strerror", None) or str(error),
            fix="say the path of a case, written as TOML: fathom estimate --file my.toml",
        ) from None
    return case_of(name or (file.parent.name.replace("_", "-") if file.name == ROOM else file.stem), text, file)


def cases() -> dict[str, Path]:
    """Return every case that is of no system: topic → its file. The folder is the registry."""
    return {file.stem: file for file in sorted(FOLDER.glob("*.toml"))}
