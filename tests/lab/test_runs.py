"""A run folder is written as the dive goes, read back whole, and says which line of which file is wrong."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from fathom.errors import FathomError
from fathom.history import Op
from fathom.lab.runs import Run, Segment, Writing, digest, find, newest, read_samples
from tests.lab.synthetic import MACHINE, World, altered, plan_of, write_finished, write_run

PLAN = plan_of(World())


def at(second: int) -> datetime:
    return datetime(2026, 11, 20, 8, 41, second, tzinfo=UTC)


def segment(id: str = "census-0001", samples: str | None = None) -> Segment:
    return Segment(
        id=id, part="census", approach="hybrid", slice="mix", point=100, lasts_s=1.0, done={"home": 1}, samples=samples
    )


def test_the_plan_is_hashed_before_the_first_request(tmp_path):
    with Writing.begin(tmp_path, PLAN, MACHINE) as run:
        before = run.read().manifest
        assert before.state == "running" and before.plan_sha256 == digest(run.folder / "plan.json")
        run.segment(segment())
        run.finish("complete", exit=0)
    assert run.read().manifest.plan_sha256 == before.plan_sha256


def test_what_was_written_is_read_back(tmp_path):
    with Writing.begin(tmp_path, PLAN, MACHINE) as run:
        run.segment(segment())
        run.segment(segment("census-0002"))
        name = run.history("hybrid-0", [Op(index=0, caller="c", call="home", answer=[1])])
        assert [s.id for s in run.read().segments] == ["census-0001", "census-0002"], "read while it is written"
        run.finish("complete", exit=1)
    read = Run(run.folder)
    assert read.plan == PLAN and read.machine == MACHINE and read.manifest.exit == 1
    assert [op.call for op in read.history(name)] == ["home"]
    assert set(read.manifest.files) == {"plan.json", "machine.json", "segments.jsonl", "histories/hybrid-0.jsonl.gz"}
    assert read.trials == [] and read.laws == [] and read.faults == []


def test_a_history_that_is_refused_leaves_none(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fathom.lab.runs.writing.LINE_BYTES_MAX", 200)
    ops = [Op(index=n, caller="c", call="home", answer="x" * (300 * n)) for n in range(2)]
    with pytest.raises(FathomError, match="an operation of"), Writing.begin(tmp_path, PLAN, MACHINE) as run:
        run.history("hybrid-0", ops)
    assert not (run.folder / "histories" / "hybrid-0.jsonl.gz").exists()
    assert not any(name.startswith("histories") for name in Run(run.folder).manifest.files)


def test_a_dive_that_ends_early_leaves_a_run_that_says_so(tmp_path):
    with pytest.raises(KeyboardInterrupt), Writing.begin(tmp_path, PLAN, MACHINE) as run:
        run.segment(segment())
        raise KeyboardInterrupt
    manifest = Run(run.folder).manifest
    assert manifest.state == "interrupted" and manifest.why == "KeyboardInterrupt: "
    assert "segments.jsonl" in manifest.files


def test_a_line_that_was_cut_off_is_forgiven_while_the_run_is_unfinished(tmp_path):
    with Writing.begin(tmp_path, PLAN, MACHINE) as run:
        run.segment(segment())
        with (run.folder / "segments.jsonl").open("ab") as file:
            file.write(b'{"id":"census-0002","pa')
        assert [s.id for s in run.read().segments] == ["census-0001"]
        run.finish("complete", exit=0)
    with pytest.raises(FathomError) as broken:
        _ = Run(run.folder).segments
    assert "line 2" in broken.value.why and "segments.jsonl" in broken.value.what


def test_two_dives_of_one_second_get_two_folders_and_the_later_is_the_newest(tmp_path):
    folders = []
    for second in (7, 7, 5):
        with Writing.begin(tmp_path, PLAN, MACHINE, now=at(second)) as run:
            run.finish("complete", exit=0)
        folders.append(run.folder.name)
    assert folders == ["2026-11-20T08-41-07", "2026-11-20T08-41-07-2", "2026-11-20T08-41-05"]
    youngest = newest(tmp_path)
    assert youngest is not None and youngest.folder.name == folders[1]


@pytest.mark.slow
def test_a_run_is_found_by_folder_by_name_and_by_what_it_is_the_newest_of(tmp_path):
    run = write_run(tmp_path, World(blocks=0, faults=False))
    name = f"timeline/celebrity/{run.folder.name}"
    for text in (str(run.folder), name, "timeline/celebrity", "timeline"):
        assert find(text, tmp_path).folder.samefile(run.folder)
    with pytest.raises(FathomError) as missing:
        find("timeline/celebritty", tmp_path)
    assert missing.value.fix == "did you mean 'timeline/celebrity'?"
    with pytest.raises(FathomError, match="there is no run 'x'"):
        find("x", tmp_path / "nothing")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "old", "new", "why"),
    [
        ("plan.json", '"seed": 7', '"seed": "seven"', "$.seed"),
        ("plan.json", ",", "", "malformed"),
        ("machine.json", '"cores": 2', '"cores": null', "$.cores"),
        ("segments.jsonl", '"part":"census"', '"part":"senses"', "line 1: "),
        ("laws.jsonl", '"checked":645', '"checked":"all"', "line 1: "),
        ("trials.jsonl", '"from_s":4', '"from_s":true', "line 1: "),
    ],
)
def test_a_broken_file_is_named_with_the_place_that_is_wrong(tmp_path, file, old, new, why):
    run = write_finished(tmp_path, World(blocks=0))
    altered(run.folder / file, old, new)
    with pytest.raises(FathomError) as broken:
        read = Run(run.folder)
        _ = read.plan, read.machine, read.segments, read.laws, read.trials
    assert file in broken.value.what and why in broken.value.why and "dive again" in broken.value.fix


@pytest.mark.slow
def test_a_missing_file_is_named(tmp_path):
    run = write_finished(tmp_path, World(blocks=0, faults=False))
    (run.folder / "segments.jsonl").unlink()
    with pytest.raises(FathomError, match=r"segments\.jsonl cannot be read"):
        _ = Run(run.folder).segments


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("op,took\n", "line 1 is"),
        ("op,intended_ns,sent_ns,done_ns,outcome\nhome,1,2,3,ok\nhome,1,2,x,ok\n", "line 3 is 'home,1,2,x,ok'"),
        ("op,intended_ns,sent_ns,done_ns,outcome\nhome,1,2,3,fine\n", "line 2 is"),
        ("op,intended_ns,sent_ns,done_ns,outcome\nhome,1,2\n", "line 2 is"),
        ("op,intended_ns,sent_ns,done_ns,outcome\nh\xe9,1,2,3,ok\n", "line 2 is not plain text"),
    ],
)
def test_samples_that_no_run_writes_are_refused_with_their_line(tmp_path, text, why):
    file = tmp_path / "a.csv"
    file.write_text(text, encoding="latin-1")
    with pytest.raises(FathomError) as broken:
        read_samples(file)
    assert why in broken.value.why


def test_samples_tell_operations_and_outcomes_apart(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text(
        "op,intended_ns,sent_ns,done_ns,outcome\nhome,10,11,30,ok\npost,20,21,0,unknown\nhome,30,31,90,failed\n"
    )
    samples = read_samples(file)
    assert samples.ops == ("home", "post") and len(samples) == 3
    took = samples.took_ns("home")
    assert took[0] == 20 and took[1] > 10**18, "what failed took longer than anything"
    assert len(samples.took_ns("nothing")) == 0


@pytest.mark.slow
def test_a_run_names_only_files_inside_its_folder(tmp_path):
    run = write_run(tmp_path, World(blocks=0, faults=False))
    for name in ("../plan.json", "/etc/passwd"):
        with pytest.raises(FathomError, match="cannot be read"):
            run.samples(segment(samples=name))


def test_a_folder_that_cannot_be_made_is_said_in_three_lines(tmp_path):
    file = tmp_path / "runs"
    file.write_text("in the way")
    with pytest.raises(FathomError) as broken:
        Writing.begin(file, PLAN, MACHINE)
    assert "cannot be written" in broken.value.what and "--runs" in broken.value.fix
    full = Path("/dev/full")
    if full.exists():  # what a full disk says
        with Writing.begin(tmp_path / "other", PLAN, MACHINE) as run:
            (run.folder / "segments.jsonl").symlink_to(full)
            with pytest.raises(FathomError, match="No space left"):
                run.segment(segment())
