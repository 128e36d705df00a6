"""All commands, and the one that the words of a client mean."""

from __future__ import annotations

from . import changes, clients, cluster, extension, keys, layout, operating, scanning, server, strings
from .command import Command, arity_fault, unknown_command, unknown_second

__all__ = ["COMMANDS", "QUICK", "found"]

COMMANDS: dict[str, Command] = {
    command.name: command
    for room in (strings, keys, scanning, extension, changes, layout, cluster, clients, server, operating)
    for command in room.COMMANDS
}
COMMANDS["command"] = server.about_commands(COMMANDS)

# As clients write them: any other mix of cases takes a moment longer.
QUICK: dict[bytes, Command] = {
    name: command
    for command in COMMANDS.values()
    if not command.under
    for name in (command.name.encode(), command.name.upper().encode())
}


def found(args: list[bytes]) -> Command:
    """Return the command that is meant, with its second word where it has one. Raises `Wrong`."""
    try:
        command = COMMANDS.get(args[0].lower().decode())
    except UnicodeDecodeError:
        command = None
    if command is None:
        raise unknown_command(args)
    if command.under and (len(args) > 1 or command.plan is None):
        if len(args) < 2:
            raise arity_fault(command)
        second = command.under.get(args[1].lower())
        if second is None:
            raise unknown_second(command, args)
        command = second
    if not command.fits(args):
        raise arity_fault(command)
    return command
