"""What a target would need is computed from the run folder alone, said in every voice, and found out when altered."""

import io
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from fathom.lab.findings import compute
from fathom.lab.record import Facts, show, voices
from fathom.lab.runs import Finding, Run, Writing, digest
from fathom.lab.verdicts import conclude
from fathom.lab.verify import verify
from tests.lab.synthetic import World, altered, write_finished, write_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Run:
    return write_finished(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def found(finished) -> dict[str, Finding]:
    return {finding.id: finding for finding in finished.findings}


def truth(cost_s: float, group: str) -> float:
    """Busy cores of a tier in the synthetic world, by its own costs: 14,000 posts and 300,000 homes a second."""
    share = {"service": 0.6, "cache": 0.3, "truth": 0.1}[group]
    copies = 1 if group == "service" else 3
    return share * (14_000 * cost_s * copies + 300_000 * 2.5e-4)


@pytest.mark.parametrize("group", ["service", "cache", "truth"])
def test_the_cores_of_pushing_are_those_of_its_closed_form(found, group):
    """A push costs 0.4 ms and 12 µs for each of 403 followers: U is somewhere from 0.5 to 0.7, machines apart cost."""
    cores = found[f"scale/on-write/cores.{group}"]
    busy = truth(4e-4 + 12e-6 * 403, group)
    assert cores.low < busy * 1.15 / 0.6 < cores.high
    assert cores.value == pytest.approx(busy * 1.15 / 0.6, rel=0.1)


def test_the_hybrid_stops_paying_at_its_own_threshold(found):
    """What lies beyond the knob of 10,000 followers costs it next to nothing, though 3,000 was the last it pushed."""
    pulled = found["scale/hybrid/largest post"]
    assert pulled.low < 6e-4 < pulled.high and pulled.value < 1e-3, "of a few slices beside a noisy idle service"
    assert found["scale/on-write/largest post"].value == pytest.approx(12e-6 * 22e6, rel=0.1)
    assert found["scale/on-write/largest post"].low < 0.5, "or it stays as it was: nobody measured it"


def test_the_share_that_nobody_measured_is_told(found):
    assert found["scale/on-write/outside_percent"].value == pytest.approx(12, abs=6)
    assert found["scale/on-read/outside_percent"].value < 1, "pulling does not care"


def test_servers_are_whole_and_lie_in_their_interval(found):
    for id, finding in found.items():
        if id.startswith("scale/") and "/servers" in id:
            assert finding.value is not None and finding.low is not None and finding.high is not None
            assert finding.low <= finding.value <= finding.high
            assert finding.value == int(finding.value) and finding.low == int(finding.low)


def test_the_tornado_begins_with_what_swings_most(finished):
    for approach in finished.plan.names:
        swings = [f for f in finished.findings if f.how == "tornado" and f.approach == approach]
        reach = [(f.high or 0) - (f.low or 0) for f in swings]
        assert len(swings) >= 4 and reach == sorted(reach, reverse=True)
        assert swings[0].measure == finished.plan.scale.prices.assumptions.core.says, "nobody measured their cores"


def test_what_breaks_first_is_the_limit_with_the_least_room(found):
    rooms = {id: f for id, f in found.items() if id.startswith("room/on-write/")}
    first = [f for f in rooms.values() if f.verdict == "first"]
    assert len(first) == 1 and first[0].value == min(f.value or 0 for f in rooms.values())
    assert first[0].detail["at"]["1"] == "holds" and first[0].says


def test_a_mix_that_is_the_sum_of_its_parts_keeps_the_utilisation_law(found):
    checks = [f for f in found.values() if f.how == "utilisation"]
    assert len(checks) == 9 and {f.verdict for f in checks} == {"held"}
    assert all(f.value == pytest.approx(1.0, abs=0.1) for f in checks)


def test_a_mix_that_needs_more_breaks_it_and_raises_the_estimate(finished, found, tmp_path):
    copy = Run(Path(shutil.copytree(finished.folder, tmp_path / "run")))
    segments = copy.segments
    for segment in segments:
        if segment.slice == "mix":
            segment.cpu_s = {group: seconds * 1.4 for group, seconds in segment.cpu_s.items()}
    more = {f.id: f for f in compute(copy)}
    assert more["utilisation/on-write/3000"].verdict == "failed"
    assert more["scale/on-write/cores"].value == pytest.approx(
        1.4 * (found["scale/on-write/cores"].value or 0), rel=0.1
    )


def test_computed_twice_it_is_the_same(finished):
    first, second = ([f for f in compute(Run(finished.folder)) if f.part == "scale"] for _ in range(2))
    assert first == second and len(first) > 60


# In the record -------------------------------------------------------------------------------------------------------


def section(run: Run, found=None) -> str:
    text = voices(run, found or conclude(run))["record.md"]
    return text.partition("## At scale\n")[2].partition("\n## ")[0]


def terminal(run: Run) -> str:
    out = io.StringIO()
    show(Console(file=out, width=100), Facts(run, conclude(run)))
    return " ".join(out.getvalue().split())


def test_the_record_says_what_was_assumed_and_with_which_ratio(finished):
    text = section(finished, finished.findings)
    assert "a vCPU there, in cores measured here | 0.7 to 1.4" in text
    assert "mean 403 and at most 22 M" in text and "seed 7" in text and "AWS us-east-1" in text


def test_the_terminal_says_it_in_two_lines(finished):
    text = terminal(finished)
    assert "servers at scale, 200 M users: hybrid " in text and "what breaks first, in times that: " in text


def test_without_a_distribution_it_is_refused_in_words(tmp_path):
    run = write_run(tmp_path, World(tail=None, faults=False))
    assert "their mean would not do" in section(run)
    assert "| servers" not in section(run) and "can't tell" in terminal(run)


def test_what_lies_mostly_beyond_is_refused_for_the_approach_that_pays_for_it(tmp_path):
    run = write_run(tmp_path, World(tail=(0.4, 0.5), faults=False))
    text = section(run)
    assert "on-write is not estimated" in text and "measure larger ones" in text
    assert "on-read is not estimated" not in text and "| servers |" in text


def test_without_a_target_nothing_is_said(tmp_path):
    run = write_run(tmp_path, World(target=False, faults=False))
    assert not section(run) and "at scale" not in terminal(run)


def test_a_law_that_was_broken_voids_the_estimate_too(tmp_path):
    run = write_run(tmp_path, World(broken="on-write", faults=False))
    found = {f.id: f for f in conclude(run)}
    assert found["scale/on-write/servers"].void and not found["scale/on-read/servers"].void
    assert "~~" in section(run)


# Verified ------------------------------------------------------------------------------------------------------------


def touched(finished: Run, tmp_path: Path, old: str, new: str) -> Run:
    folder = Path(shutil.copytree(finished.folder, tmp_path / finished.folder.name))
    altered(folder / "plan.json", old, new)
    return Run(folder)


def test_an_altered_price_is_found_with_the_numbers_that_hang_from_it(finished, tmp_path):
    result = verify(touched(finished, tmp_path, '"usd_per_hour": 0.29', '"usd_per_hour": 0.19'))
    assert "plan" in {p.kind for p in result.problems}
    changed = {id for p in result.problems if p.kind == "number" for id in p.findings}
    assert changed == {f"scale/{name}/usd_per_month" for name in finished.plan.names}


def test_an_altered_assumption_is_found_also_when_the_hashes_were_altered_with_it(finished, tmp_path):
    run = touched(finished, tmp_path, '"high": 1.4', '"high": 2.4')
    writing = Writing(run.folder, run.manifest)
    writing._manifest.plan_sha256 = digest(run.folder / "plan.json")
    writing.finish("complete", exit=run.manifest.exit or 0)
    changed = {id for p in verify(Run(run.folder)).problems if p.kind == "number" for id in p.findings}
    assert "scale/hybrid/servers" in changed and "scale/hybrid/cores" not in changed, "cores here are no vCPUs there"


def test_another_seed_is_found(finished, tmp_path):
    result = verify(touched(finished, tmp_path, '"seed": 7,\n  "draws"', '"seed": 8,\n  "draws"'))
    assert any("scale/hybrid/vcpus" in p.findings for p in result.problems)


def test_what_may_be_estimated_may_also_be_turned_one_thing_at_a_time(finished, found, monkeypatch):
    """A middle of drawn values just passes; the middle of one that is held may lie just beyond."""
    edge = found["scale/on-write/outside_percent"].value / 100
    monkeypatch.setattr("fathom.lab.scale.size.OUTSIDE_MOST", edge * 1.0001)
    again = {finding.id: finding for finding in compute(finished, None)}
    assert "scale/on-write/refused" not in again
    assert any(id.startswith("tornado/on-write") for id in again), sorted(again)[:5]
