"""What must stay true of a tally."""

from fathom.history import Broken, History


def every_word_said_is_counted(history: History) -> list[Broken]:
    """A last count has at least the words whose saying was acknowledged."""
    said: dict[str, list[int]] = {}
    for op in history.acknowledged("say"):
        said.setdefault(op.asked[0], []).append(op.index)
    return [
        Broken(
            law="every_word_said_is_counted",
            says=f"'{look.asked[0]}' was said {len(times)} times and counted {look.answer} times",
            ops=(times[-1], look.index),
        )
        for look in history.of("count", final=True)
        if look.acknowledged and look.answer < len(times := said.get(look.asked[0], []))
    ]
