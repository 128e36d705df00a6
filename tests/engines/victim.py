"""A run that does everything engines can do, over and over, until somebody kills it; it says which ports it took.

python victim.py SEED
"""

from __future__ import annotations

import asyncio
import random
import sys
from urllib.parse import urlsplit

from fathom.engines.keeper import Keeper
from fathom.engines.nats import Nats
from fathom.engines.postgres import Postgres
from fathom.engines.redis import Redis

# A child that leaves its parent, its session and its process group, and does not want to end.
DAEMON = """
import os, signal, time
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
for _ in range(2):
    if os.fork():
        os._exit(0)
    os.setsid()
time.sleep(3600)
"""
CHATTER = "import sys, time\nwhile True: sys.stdout.write('x' * 1_000_000); time.sleep(0.05)"


def say(*engines: Postgres | Redis | Nats) -> None:
    for engine in engines:
        port = urlsplit(getattr(engine, "tcp", engine.where)).port
        print(f"port {port}", flush=True)


async def main(seed: int) -> None:
    dice = random.Random(seed)
    print("begun", flush=True)
    async with Keeper.open() as keeper:
        await keeper.spawn([sys.executable, "-I", "-S", "-c", DAEMON], name="daemon")
        await keeper.spawn([sys.executable, "-I", "-S", "-c", CHATTER], name="chatter")
        kinds = [Postgres, Redis, Nats]
        dice.shuffle(kinds)
        async with kinds[0].start(keeper) as one, kinds[1].start(keeper) as two, kinds[2].start(keeper) as three:
            engines = [one, two, three]
            say(*engines)
            async with one.connected(), two.connected(), three.connected():
                while True:
                    engine = dice.choice(engines)
                    match dice.randrange(4):
                        case 0:
                            await engine.pause()
                        case 1:
                            await engine.resume()
                        case 2:
                            await engine.kill()
                            await engine.restart()
                        case 3:
                            await engine.restart(wiped=True)
                    say(engine)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
