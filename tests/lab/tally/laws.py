"""What must stay true of a tally."""

from fathom.history import Broken, History


def every_word_said_is_counted(history: History) -> list[Broken]:
    """A last count has at least the words whose saying was acknowledged."""
    said = [op.asked[0] for op in history.acknowledged("say")]
    return [
        Broken(
            law="every_word_said_is_counted",
            says=f"'{op.asked[0]}' was said {said.count(op.asked[0])} times and counted {op.answer} times",
            ops=(op.index,),
        )
        for op in history.of("count", final=True)
        if op.acknowledged and op.answer < said.count(op.asked[0])
    ]
