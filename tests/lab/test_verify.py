"""A run that was touched anywhere after it was finished is found out, with the file and the numbers named."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import fathom
from fathom.errors import FathomError
from fathom.history import Broken, History, Op, proof
from fathom.lab.dive import Dive, Load, op, sweep
from fathom.lab.record import voices
from fathom.lab.runs import Manifest, Run, Writing, code_of
from fathom.lab.verdicts import conclude
from fathom.lab.verify import Verification, _histories, summary, verify
from tests.lab.synthetic import LAW, World, altered, write_finished, write_run

pytestmark = pytest.mark.slow

REPRODUCE = Path(__file__).parents[2] / "docs" / "reference" / "reproduce.py"


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    return write_finished(tmp_path_factory.mktemp("finished")).folder


@pytest.fixture
def run(tmp_path, finished) -> Run:
    """A copy that a test may touch."""
    return Run(Path(shutil.copytree(finished, tmp_path / finished.name)))


def reproduced(run: Run) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-S", str(REPRODUCE), str(run.folder)], capture_output=True, text=True, check=False
    )


def kinds(result: Verification) -> set[str]:
    return {problem.kind for problem in result.problems}


def one_sample_slower(file: Path, op: str = "home") -> None:
    """Make the slowest request of a file ten times as slow, as somebody would to hide a good result."""
    lines = file.read_text().splitlines()
    rows = [
        (int(line.split(",")[3]) - int(line.split(",")[1]), at)
        for at, line in enumerate(lines[1:], 1)
        if line.startswith(op)
    ]
    took, at = max(rows)
    name, due, sent, done, outcome = lines[at].split(",")
    lines[at] = ",".join([name, due, sent, str(int(done) + 9 * took), outcome])
    file.write_text("\n".join(lines) + "\n")


def test_a_run_that_nobody_touched_agrees(run):
    result = verify(run)
    assert result.agrees and result.numbers > 300 and result.files > 100, result.problems
    assert summary(result) == f"{result.numbers:,} numbers computed again from {result.files:,} files: all agree"


def test_a_copy_of_a_run_agrees_wherever_it_lies(run, tmp_path):
    copy = tmp_path / "a folder with a space" / "copy"
    copy.parent.mkdir()
    run.folder.rename(copy)
    assert verify(Run(copy)).agrees


def test_one_altered_sample_is_named_with_the_numbers_it_changed(run):
    one_sample_slower(run.folder / "samples" / "duel-03-on-read.csv")
    result = verify(Run(run.folder))
    file = next(problem for problem in result.problems if problem.kind == "changed file")
    assert file.where == "samples/duel-03-on-read.csv"
    assert "duel/on-read/3000/home.p99" in file.findings, "what stands on it"
    changed = {id for problem in result.problems if problem.kind == "number" for id in problem.findings}
    assert changed and all("on-read" in id for id in changed)
    assert "record" not in kinds(result), "the record still says what its findings say"


def test_one_altered_sample_of_a_trial_changes_a_number_whichever_it_is(run):
    file = run.folder / "samples" / "trial-on-read-0.csv"
    altered(file, ",ok\nhome,", ",failed\nhome,")
    changed = {id for p in verify(Run(run.folder)).problems if p.kind == "number" for id in p.findings}
    assert {"trial/on-read/0/ok", "trial/on-read/0/failed"} <= changed


def test_any_single_census_sample_changes_a_number(run):
    file = run.folder / next(s for s in run.segments if s.id == "census-0010").samples
    line = file.read_text().splitlines()[7]
    altered(file, line, re.sub(r",(\d+),ok$", lambda m: f",{int(m[1]) + 1_000},ok", line))
    problems = verify(Run(run.folder)).problems
    assert any(p.kind == "number" and ".mean" in p.findings[0] for p in problems), "a microsecond in one mean"


def test_an_altered_digit_in_the_record_is_found(run):
    for name in ("record.md", "record.html"):
        copy = (run.folder / name).read_text()
        altered(run.folder / name, "30,032", "30,023")
        result = verify(Run(run.folder))
        said = [p for p in result.problems if p.kind == "record"]
        assert said and said[0].where.startswith(f"{name}:") and "30,023" in said[0].says and "30,032" in said[0].says
        assert "number" not in kinds(result)
        (run.folder / name).write_text(copy)


def test_an_altered_finding_is_found_also_when_the_record_was_altered_with_it(run):
    found = run.findings
    finding = next(f for f in found if f.id == "census/on-write/30000/post.commands")
    finding.value = finding.low = finding.high = 2.0
    writing = Writing(run.folder, run.manifest)
    writing.write("findings.json", found)
    for name, text in voices(run, found).items():
        writing.write(name, text)
    writing.finish("complete", exit=run.manifest.exit or 0)  # and the hashes with them
    result = verify(Run(run.folder))
    assert [p.findings for p in result.problems] == [["census/on-write/30000/post.commands"]]
    assert "it says 2 [2.0], the raw files give 30,032 [30032.0]" in result.problems[0].says


def test_a_count_that_was_altered_in_the_segments_is_named(run):
    altered(run.folder / "segments.jsonl", '"commands":900960', '"commands":900961')
    changed = {id for p in verify(Run(run.folder)).problems if p.kind == "number" for id in p.findings}
    assert {"census/on-write/30000/post.commands", "closed-form/on-write/30000/post.commands"} <= changed


def test_another_plan_is_not_the_one_that_was_hashed(run):
    altered(run.folder / "plan.json", '"less_than": 0.05', '"less_than": 0.5')
    result = verify(Run(run.folder))
    assert any(p.kind == "plan" and "before the first request" in p.says for p in result.problems)


def test_a_missing_and_an_added_file_are_named(run):
    (run.folder / "samples" / "trial-hybrid-1.csv").rename(run.folder / "samples" / "spare.csv")
    with pytest.raises(FathomError, match=r"trial-hybrid-1\.csv cannot be read"):
        verify(Run(run.folder))
    (run.folder / "samples" / "spare.csv").rename(run.folder / "samples" / "trial-hybrid-1.csv")
    (run.folder / "notes.txt").write_text("mine")
    assert [(p.kind, p.where) for p in verify(Run(run.folder)).problems] == [("extra file", "notes.txt")]


def test_a_segment_that_is_missing_takes_its_numbers_with_it(run):
    file = run.folder / "segments.jsonl"
    lines = [line for line in file.read_text().splitlines() if '"id":"duel-02-on-write"' not in line]
    file.write_text("\n".join(lines) + "\n")
    result = verify(Run(run.folder))
    changed = {id for p in result.problems if p.kind == "number" for id in p.findings}
    assert "duel/on-write~hybrid/3000/home.p99" in changed and {"changed file", "number"} <= kinds(result)


def test_an_exit_code_that_does_not_follow_is_found(run):
    altered(run.folder / "manifest.json", '"exit": 2', '"exit": 0')
    assert [(p.kind, p.says) for p in verify(Run(run.folder)).problems] == [("state", "exit 0; it should be 2")]


def test_laws_are_held_against_the_histories_that_were_kept(tmp_path):
    run = write_run(tmp_path, World(blocks=0, faults=False))
    writing = Writing(run.folder, run.manifest)
    name = writing.history("hybrid-0", [Op(index=n, caller="c", call="home") for n in range(9)])
    result = run.laws[0]
    result.history, result.checked = name, 9
    (run.folder / "laws.jsonl").write_bytes(b"".join(msgspec.json.encode(law) + b"\n" for law in run.laws))
    found = conclude(Run(run.folder))
    writing.write("findings.json", found)
    for file, text in voices(Run(run.folder), found).items():
        writing.write(file, text)
    writing.finish("complete", exit=2)

    def kept(history):
        return []

    def broken(history):
        return [Broken(law=LAW, says="twice", ops=(1,))]

    assert verify(Run(run.folder), laws={LAW: kept}).agrees
    said = verify(Run(run.folder), laws={LAW: broken}).problems
    assert [p.kind for p in said] == ["law"] and said[0].where == name
    assert verify(Run(run.folder)).skipped == ["the histories: the laws were not given"]


def test_laws_are_held_by_how_often_they_were_broken(tmp_path):
    """One breach more or less is another result, also where it was broken before; of more than are kept, at least."""
    run = write_run(tmp_path, World(blocks=0, faults=False, broken="hybrid"))
    name = Writing(run.folder, run.manifest).history("hybrid-0", [Op(index=0, caller="c", call="home")])
    result = next(law for law in run.laws if law.broken)
    result.history, result.checked, result.proof = name, 1, []
    (breach,) = result.broken
    result.broken = [breach] * 2

    def law(count: int):
        return {LAW: lambda history: [breach] * count}

    def counts(given: int) -> list[str]:
        run.manifest.state = "void"
        return [p.says for p in _histories(run, None, law(given))]

    assert not counts(2) and "2 broken in 1, the history gives 3" in counts(3)[0]
    result.broken = result.broken * 10
    assert not counts(57), "more than are kept, and nothing says how many"
    assert "at least 20" in counts(19)[0]
    result.breaches = 57
    assert not counts(57) and counts(58) and counts(20)


def test_a_proof_that_was_altered_is_found(tmp_path):
    run = write_run(tmp_path, World(blocks=0, faults=False, broken="hybrid"))
    ops = [Op(index=n, caller="c", call="home") for n in range(3)]
    name = Writing(run.folder, run.manifest).history("hybrid-0", ops)
    breach = Broken(law=LAW, says="twice", ops=(1, 2), about={"posts": (7,)})
    history = History(ops)

    def law(history):
        return [breach]

    result = next(each for each in run.laws if each.broken)
    result.history, result.checked, result.broken, result.proof = name, 3, [breach], proof(law, breach, history)
    (run.folder / "laws.jsonl").write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in run.laws))

    def says(run: Run) -> list[str]:
        return [problem.says for problem in _histories(run, None, {LAW: law})]

    read = Run(run.folder)
    assert says(read) == []
    (result,) = (each for each in read.laws if each.history)
    steps, result.proof = result.proof, result.proof[:1]
    assert says(read) == [f"{LAW}: laws.jsonl proves 'twice' otherwise than the history does"]
    result.proof, result.broken = steps, [Broken(law=LAW, says="once", ops=(1, 2))]
    assert says(read) == [f"{LAW}: laws.jsonl shows 'once', which the history does not give"]


def test_what_was_lost_is_counted_again_from_the_histories(tmp_path):
    run = write_run(tmp_path, World(blocks=0))
    ops = [Op(index=n, caller=f"trial/{n % 2}/post/{n}", call="post") for n in range(6)]
    trial = run.trials[0]
    trial.history = Writing(run.folder, run.manifest).history("hybrid-0", ops)

    def keeps(history):
        return [Broken(law="keeps", says="gone", ops=(op.index,)) for op in history.ops[:5]]

    class Kept(Dive[object]):
        trial = None  # without load

    Kept.keeps = keeps

    trial.fault, trial.lost = 1, 5
    assert not list(_histories(run, Kept, {"keeps": keeps})), "with what was lost before"
    trial.alone, trial.lost = True, 2
    assert not list(_histories(run, Kept, {"keeps": keeps}))
    trial.lost = 1
    assert [p.says for p in _histories(run, Kept, {"keeps": keeps})] == [
        "trials.jsonl says 1 lost by fault 1, the history gives 2"
    ]


def test_a_history_is_read_once_for_all_that_it_says(tmp_path, monkeypatch: pytest.MonkeyPatch):
    run = write_run(tmp_path, World(blocks=0))
    ops = [Op(index=0, caller="trial/0/post/0", call="post")]
    names = [Writing(run.folder, run.manifest).history(f"hybrid-{n}", ops) for n in range(2)]
    for at, result in enumerate(run.laws):
        result.history = names[at % 2]
    for trial in run.trials:
        trial.history, trial.lost = names[0], 0
    read: list[str] = []
    monkeypatch.setattr(Run, "history", lambda run, name: read.append(name) or iter(ops))

    def keeps(history):
        return ()

    class Kept(Dive[object]):
        trial = None  # without load

    Kept.keeps = keeps
    laws = {result.law: keeps for result in run.laws} | {"keeps": keeps}
    assert len(run.laws) > 2 and len(run.trials) > 1
    list(_histories(run, Kept, laws))
    assert sorted(read) == sorted(names)


def unfinished(run: Run, state: str, exit: int, why: str) -> Run:
    """The same measurements in a run that ended otherwise, as a dive leaves it behind."""
    for name in ("record.md", "record.html"):
        (run.folder / name).unlink()
    Writing(run.folder, run.manifest).finish(state, exit=exit, why=why)
    return Run(run.folder)


@pytest.mark.parametrize(("state", "exit"), [("void", 3), ("interrupted", 130), ("interrupted", 70)])
def test_a_void_or_interrupted_run_that_nobody_touched_agrees_without_a_record(run, state, exit):
    result = verify(unfinished(run, state, exit, "too noisy"))
    assert result.agrees, result.problems
    assert result.numbers > 300 and f"the record: a run that is {state} has none (too noisy)" in result.skipped


def test_a_void_run_has_no_record_and_ends_with_3(run):
    altered(run.folder / "manifest.json", '"state": "complete"', '"state": "void"')
    problems = verify(Run(run.folder)).problems
    assert {p.where for p in problems} == {"manifest.json", "record.md", "record.html"}
    assert any("exit 2; it should be 3" in p.says for p in problems)


@pytest.mark.parametrize("state", ["complete", "void"])
def test_findings_that_are_gone_are_missed_also_when_the_manifest_forgot_them(run, state):
    (run.folder / "findings.json").unlink()
    (unfinished(run, "void", 3, "x") if state == "void" else Writing(run.folder, run.manifest).finish(state, exit=2))
    problems = verify(Run(run.folder)).problems
    assert [(p.kind, p.where) for p in problems] == [("missing file", "findings.json")]


@pytest.mark.parametrize("state", ["running"])
def test_a_run_without_an_end_is_refused_in_three_lines(run, state):
    altered(run.folder / "manifest.json", '"state": "complete"', f'"state": "{state}"')
    with pytest.raises(FathomError) as refused:
        verify(Run(run.folder))
    assert "no finished record" in refused.value.what and "dive again" in refused.value.fix


def test_a_record_of_another_version_is_checked_by_its_numbers(run):
    """An older record's words may have been others; each number on its page still names its finding."""
    altered(run.folder / "plan.json", f'"fathom": "{fathom.__version__}"', '"fathom": "0.0.9"')
    writing = Writing(run.folder, run.manifest)
    writing._manifest = msgspec.structs.replace(run.manifest)
    writing.finish("complete", exit=2)
    altered(run.folder / "record.html", ">30,032", ">30,023")
    result = verify(Run(run.folder))
    assert any("census/on-write/30000/post.commands: it says 30,023, not 30,032" in p.says for p in result.problems)
    assert any("0.0.9 wrote them" in text for text in result.skipped)
    assert isinstance(run.manifest, Manifest)


def test_a_prediction_that_was_rewritten_since_is_not_judged(run):
    class Later(Dive[object]):
        """Says what it likes, now that it knows."""

        fans = sweep(100, 3_000, 30_000)
        load = Load(home=1)

        @op
        async def home(self, client, turn): ...

        def predict(self, found):
            yield "all is well", found("on-read", fans=100).home.cpu_s > 0

    altered(run.folder / "plan.json", '"dive_sha256": ""', f'"dive_sha256": "{code_of(Later)}"')
    assert not any("dive's file" in text for text in verify(Run(run.folder), Later).skipped)
    altered(run.folder / "plan.json", code_of(Later), "0" * 64)
    assert any("dive's file is not the one" in text for text in verify(Run(run.folder), Later).skipped)


def test_a_script_of_seventy_lines_agrees_and_finds_what_was_altered(run):
    assert len(REPRODUCE.read_text().splitlines()) <= 70
    result = reproduced(run)
    assert result.returncode == 0 and re.fullmatch(r"2\d\d of 4\d\d numbers computed again: 0 differ\n", result.stdout)
    one_sample_slower(run.folder / "samples" / "duel-03-on-read.csv")
    result = reproduced(run)
    assert result.returncode == 1 and "duel/on-read/3000/home.mean-of-all: the record says" in result.stdout


def test_the_script_computes_both_ends_of_an_interval_too(run):
    found = run.findings
    ratio = next(f for f in found if f.how == "ratio" and f.value is not None)
    if ratio.low is None or ratio.low == ratio.value:
        pytest.fail(f"{ratio.id} stands on {ratio.over}: too few for an interval")
    ratio.low *= 0.99
    Writing(run.folder, run.manifest).write("findings.json", found)
    assert f"{ratio.id}: the record says" in reproduced(run).stdout


def test_the_script_takes_all_valid_segments_whatever_a_number_says_it_comes_from(run):
    """Whoever picks the segments that suit them, and says so in `from`, is found out: block, slice or void one."""
    found = run.findings
    for id in ("duel/on-read/3000/home.mean-of-all", "census/on-write/3000/post.cpu_s"):
        finding = next(f for f in found if f.id == id)
        true = finding.value
        finding.sources = [finding.sources[0], finding.sources[-1]]
        Writing(run.folder, run.manifest).write("findings.json", found)
        assert reproduced(run).returncode == 0, "it takes the others too"
        finding.value *= 0.99
        Writing(run.folder, run.manifest).write("findings.json", found)
        assert f"{id}: the record says" in reproduced(run).stdout
        finding.value = true
    count = next(f for f in found if f.exact and f.how == "count")
    count.high += 1
    Writing(run.folder, run.manifest).write("findings.json", found)
    assert f"{count.id}: the record says" in reproduced(run).stdout, "exact, and yet a range"
