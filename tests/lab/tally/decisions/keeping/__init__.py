"""Is a tally kept, or made when somebody asks?"""

from abc import abstractmethod

from fathom.design import Decision


class Keeping(Decision):
    default = "running"

    @abstractmethod
    def say(self, word: str) -> int: ...

    @abstractmethod
    def count(self, word: str) -> int: ...
