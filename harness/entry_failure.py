"""What went wrong in an entry, for the contestant: kind, one line, traceback. Travels into the sandbox."""

import errno
import re
import traceback
import typing
from collections.abc import Iterator
from pathlib import Path

from harness.entry_config import ConfigError
from harness.entry_module import MissingError
from harness.entry_scorer import OutputError
from harness.protocol import Failed, printable

TRACEBACK_CAP = 8_000  # characters
MESSAGE_CAP = 2_000  # characters
GIB = 2**30

# How out-of-memory reads where no exception of its own type says it: CUDA and its libraries, the host's allocators.
_CUDA_MEMORY = re.compile(
    r"CUDA out of memory|CUDA_ERROR_OUT_OF_MEMORY|\bCU[A-Z]+(_STATUS)?_ALLOC_FAILED"
    r"|\b(CUDA|Cuda|NCCL|Triton)\b[^\n]{0,80}out of memory"
)
_HOST_MEMORY = re.compile(r"DefaultCPUAllocator: (can't allocate|not enough) memory|Cannot allocate memory")
# torch's own message goes on for a paragraph of statistics.
_FIRST_SENTENCES = re.compile(r"CUDA out of memory\.( Tried to allocate [\d.]+ \w+)?")


def failure(error: BaseException, folder: str, device: str = "cpu") -> Failed:
    """The last line, and the traceback from the entry's own code on.

    Args:
        folder: the submission's, as the worker sees it.
        device: the job's; its peak goes with "out of memory".
    """
    text = printable(str(error), MESSAGE_CAP).strip()
    kind: typing.Literal["config", "missing", "syntax", "crash", "memory", "output"] = "crash"
    exhausted = out_of_memory(error)
    match error:
        case ConfigError():
            kind = "config"
        case MissingError():
            kind = "missing"
        case OutputError():
            kind = "output"
        case _ if exhausted is not None:
            kind, text = "memory", _memory_sentence(exhausted, device)
        case SyntaxError():
            kind = "syntax"
            text = f"{Path(error.filename or '?').name}, line {error.lineno}: {error.msg}"
        case SystemExit():
            text = f"the entry called exit({error.code!r})"
        case _:
            text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    own = next((i for i, frame in enumerate(frames) if frame.filename.startswith(folder)), len(frames))
    lines = traceback.format_list(frames[own:])
    where = printable("".join(lines).replace(folder + "/", ""), TRACEBACK_CAP)
    if frames[own:] and kind != "syntax":
        last = [frame for frame in frames[own:] if frame.filename.startswith(folder)][-1]
        text += f" ({Path(last.filename).name}, line {last.lineno})"
    return Failed(kind=kind, message=text, traceback=where)


def out_of_memory(error: BaseException) -> BaseException | None:
    """The first error of the chain that says that memory ran out: compilers wrap it in errors of their own."""
    return next((each for each in _chain(error) if _says_memory(each)), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """`error` and what it was raised from; dynamo and inductor keep that in a field of their own.

    Without `__context__`: an entry may catch one error and go on to another.
    """
    seen: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        current = waiting.pop(0)
        if not isinstance(current, BaseException) or any(current is each for each in seen):
            continue
        seen.append(current)
        yield current
        waiting += (current.__cause__, getattr(current, "inner_exception", None))
        if isinstance(current, BaseExceptionGroup):
            waiting += current.exceptions


def _says_memory(error: BaseException) -> bool:
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    text = str(error)
    return isinstance(error, RuntimeError) and bool(_CUDA_MEMORY.search(text) or _HOST_MEMORY.search(text))


def _memory_sentence(error: BaseException, device: str) -> str:
    text = printable(str(error), MESSAGE_CAP).strip()
    short = _FIRST_SENTENCES.search(text)
    said = short[0] if short else text.partition("\n")[0] or "out of memory"
    peak = _peak(device) if _CUDA_MEMORY.search(said) else ""
    return f"{said.rstrip('.')}{peak}"


def _peak(device: str) -> str:
    """What torch's allocator held of the card at most; empty when CUDA can't tell any more."""
    import torch

    try:
        held = torch.cuda.max_memory_reserved(device) / GIB
        total = torch.cuda.get_device_properties(device).total_memory / GIB
    except Exception:  # after some errors every call to CUDA fails
        return ""
    return f"; peak {held:.1f} of {total:.1f} GiB on {device}"
