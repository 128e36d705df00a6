"""How often is a thing written that is put on the shelf?"""

from fathom.design import Decision, knob
from fathom.engines.redis import Redis


class Writing(Decision):
    default = "once"

    cache: Redis
    times: int = knob(1, "how often it is written")

    async def put(self, name: str, what: str) -> None:
        for _ in range(self.times):
            await self.cache.client("SET", name, what)

    async def see(self, name: str) -> str | None:
        found = await self.cache.client("GET", name)
        return None if found is None else found.decode()
