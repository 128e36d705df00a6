"""A few instructions of machine code, called as a function: an interpreter would hide what takes a nanosecond."""

from __future__ import annotations

import ctypes
import mmap
import platform
import sys
from collections.abc import Callable

from .bench import NotHere

__all__ = ["CHASE", "SUM_IF", "address", "compiled"]

# Each is what GNU as makes of the lines beside it; arguments come in rdi, rsi, rdx, rcx (System V).
CHASE = bytes.fromhex(
    "488b3f"  # again: mov rdi, [rdi]   the next address is known only when this load is done
    "48ffce"  #        dec rsi
    "75f8"  #          jnz again
    "4889f8"  #        mov rax, rdi
    "c3"  #            ret
)
SUM_IF = bytes.fromhex(
    "31c0"  #          xor eax, eax
    "803f00"  # again: cmp byte [rdi], 0
    "7404"  #          je  next         the branch that is foreseen, or not
    "4883c001"  #      add rax, 1
    "48ffc7"  # next:  inc rdi
    "48ffce"  #        dec rsi
    "75ef"  #          jnz again
    "c3"  #            ret
)
GETPID = bytes.fromhex(
    "b827000000"  # again: mov eax, 39  getpid on Linux
    "0f05"  #          syscall
    "48ffcf"  #        dec rdi
    "75f4"  #          jnz again
    "c3"  #            ret
)
LOCK_UNLOCK = bytes.fromhex(
    "53415441554156"  # push rbx, r12, r13, r14
    "4883ec08"  #      sub rsp, 8       calls want the stack at a multiple of 16
    "4989fc4889f34989d54989ce"  # mov r12, rdi; mov rbx, rsi; mov r13, rdx; mov r14, rcx
    "4c89e741ffd5"  # again: mov rdi, r12; call r13
    "4c89e741ffd6"  #  mov rdi, r12; call r14
    "48ffcb"  #        dec rbx
    "75ef"  #          jnz again
    "4883c408"  #      add rsp, 8
    "415e415d415c5b"  # pop r14, r13, r12, rbx
    "c3"  #            ret
)


def compiled(code: bytes, arguments: int, *, linux: bool = False) -> Callable[..., int]:
    """Return machine code as a function of so many 64-bit integers; NotHere where it is not this processor's."""
    if platform.machine() not in ("x86_64", "AMD64") or sys.platform == "win32":
        raise NotHere(f"its loop is written for x86-64, and this is {platform.machine()}")
    if linux and sys.platform != "linux":
        raise NotHere("its loop speaks to Linux")
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    except OSError as fault:
        raise NotHere(f"no page may be run here: {fault.strerror}") from None
    page.write(code)
    begin = ctypes.addressof(ctypes.c_char.from_buffer(page))
    function = ctypes.CFUNCTYPE(ctypes.c_uint64, *[ctypes.c_uint64] * arguments)(begin)

    def call(*values: int) -> int:
        assert not page.closed  # and held, for as long as somebody can call
        return function(*values)

    return call


def address(of: str) -> int:
    """Return where a function of the C library lies."""
    found = getattr(ctypes.CDLL(None), of)
    return ctypes.cast(found, ctypes.c_void_p).value or 0
