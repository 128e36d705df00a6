"""The strip chart: within its frame whatever comes, the newest at the right edge, a mark for all that was done."""

from __future__ import annotations

import math
import re

from hypothesis import given
from hypothesis import strategies as st

from fathom.studio import strip
from fathom.studio.strip import Sample, marks, points, top
from fathom.web.control import Mark

figures = st.floats(0, 1e6)


@given(st.lists(figures, max_size=20))
def test_the_top_is_round_and_above_all(values: list[float]):
    found = top(values)
    assert all(value <= found for value in values)
    assert round(found / 10 ** math.floor(math.log10(found) + 1e-9), 6) in (1, 2, 5)


@given(st.lists(st.builds(Sample, st.floats(0, strip.SECONDS), figures, figures, figures), min_size=1))
def test_every_point_lies_within_the_frame(samples: list[Sample]):
    found = points(samples, "answered", top(sample.answered for sample in samples), strip.SECONDS)
    for point in found.split():
        x, y = map(float, point.split(","))
        assert 0 <= x <= strip.WIDTH and 0 <= y <= strip.BASE


def test_the_newest_is_at_the_right_edge():
    assert points([Sample(30.0, 0.0, 0.0, 0.0)], "answered", 10.0, 30.0) == f"{strip.WIDTH:.1f},{strip.BASE:.1f}"


def test_a_mark_is_drawn_where_it_was_made_until_it_has_left_the_strip():
    made = [Mark(at_s=10.0, what="kill cache"), Mark(at_s=140.0, what="a < b", kind="switch")]
    found = marks(made, 200.0)
    assert "kill cache" not in found and "a &lt; b" in found and 'class="mark switch"' in found
    (x,) = set(re.findall(r'x1="([\d.]+)"', found))
    assert float(x) == strip.WIDTH / 2


@given(st.lists(st.floats(80, 200), max_size=12, unique=True))
def test_labels_never_lie_on_each_other_and_the_newest_has_one(times: list[float]):
    made = [Mark(at_s=at, what=f"kill {number:02}") for number, at in enumerate(sorted(times))]
    found = marks(made, 200.0)
    assert found.count("<line") == len(times)
    assert not made or re.search(rf"<text[^>]*>{made[-1].what}</text>", found)
    labels = re.findall(r'<text x="([\d.]+)" y="(\d+)" textLength="(\d+)"', found)
    lines: dict[str, list[tuple[float, float]]] = {}
    for x, y, wide in labels:
        lines.setdefault(y, []).append((float(x), float(x) + float(wide)))
    for line in lines.values():
        assert all(end <= begin for (_, end), (begin, _) in zip(sorted(line), sorted(line)[1:], strict=False))
