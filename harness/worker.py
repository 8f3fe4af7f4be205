"""The inside of a sandbox: locks itself down, sets the entry up, trains it or answers for it.

Trusted until the submission is imported and not a line longer: from then on the submission shares this process and can
change anything here. Nothing that leaves this process is therefore believed; see harness/evaluation.py and
harness/twin.py. Not covered here: everything that must hold against the submission.

Started as `python -B -I <boot>/harness/worker.py FD`, where FD is the worker's end of the socket.
"""

import dataclasses
import importlib.util
import mmap
import os
import socket
import sys
import time
import traceback
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path

BOOT = str(Path(__file__).resolve().parent.parent)
if BOOT not in sys.path:
    sys.path.insert(0, BOOT)

from harness import lockdown  # noqa: E402
from harness.protocol import Closed as ConnectionClosed  # noqa: E402
from harness.protocol import (  # noqa: E402
    Connection,
    Cut,
    Distribution,
    Done,
    Failed,
    File,
    Go,
    Hello,
    Job,
    Locked,
    Log,
    LogProbs,
    Ready,
    Save,
    Saved,
    Tokens,
    TrackView,
    decode_to_worker,
    printable,
)

if typing.TYPE_CHECKING:
    import numpy as np
    import torch

SHARD_HEADER_BYTES = 1024  # 256 little-endian int32, then uint16 tokens
LOG_INTERVAL_S = 0.1  # points logged faster than this are merged into the next
ROW_TOKENS = 16_384  # default size of one predict call
STRIDE = 512  # default: at most so many tokens from window to window, so that each target has some past
METRICS_CAP = 32  # metrics a point
TRACEBACK_CAP = 8_000  # characters


class ConfigError(Exception):
    """A field of Config that does not exist, or a value that does not fit it."""


class OutputError(Exception):
    """predict returned something that is no logits."""


class MissingError(Exception):
    """A file or function that every entry has."""


class TrainingTokens:
    """The training shards, memory-mapped, in official order."""

    def __init__(self, folder: Path, names: tuple[str, ...], separator: int | None) -> None:
        import numpy as np

        self._separator = separator
        self.shards: tuple[np.ndarray, ...] = tuple(
            np.memmap(folder / name, dtype="<u2", mode="r", offset=SHARD_HEADER_BYTES) for name in names
        )

    def document_starts(self, shard: int) -> "np.ndarray":
        """int64 [documents]: where the documents of a shard begin (empty when the data set has no separator)."""
        import numpy as np

        if self._separator is None:
            return np.empty(0, dtype=np.int64)
        return np.flatnonzero(self.shards[shard] == self._separator)


class Run:
    """Everything that a submission gets from the platform."""

    def __init__(self, job: Job, config: object, connection: Connection) -> None:
        self.phase = job.phase
        self.track: TrackView = job.track
        self.config = config
        self.seed = job.seed
        self.device = job.device
        self.rank = job.rank
        self.world_size = job.world_size
        self.threads = job.threads
        self.vocab_size = job.vocab_size
        self.max_context = job.max_context
        self.scratch = job.scratch
        self._job = job
        self._connection = connection
        self._began_s: float | None = None
        self._training = False
        self._tokens: TrainingTokens | None = None
        self._pending: Log | None = None
        self._logged_s = 0.0
        self._windows = (job.max_context, min(STRIDE, job.max_context), max(1, ROW_TOKENS // job.max_context))

    def evaluate_with(self, *, context: int | None = None, stride: int | None = None, rows: int | None = None) -> None:
        """How this entry wants to be scored; only in `setup`.

        context: tokens a window, at most and by default `max_context`. stride: tokens from one window to the next, at
        most `context`, by default 512 (every target but those of the first window is then predicted from at least
        context − stride tokens). rows: most rows that one `predict` call gets. T may be shorter than the context.
        """
        context = self.max_context if context is None else context
        if not 1 <= context <= self.max_context:
            raise ValueError(f"context must be between 1 and {self.max_context} (run.max_context), not {context}")
        stride = min(STRIDE, context) if stride is None else stride
        rows = max(1, ROW_TOKENS // context) if rows is None else rows
        if not 1 <= stride <= context:
            raise ValueError(f"stride must be between 1 and the context ({context}), not {stride}")
        if not 1 <= rows <= 4096:
            raise ValueError(f"rows must be between 1 and 4096, not {rows}")
        self._windows = (int(context), int(stride), int(rows))

    def elapsed(self) -> float:
        """Seconds since GO, as seen from here; the parent's clock decides. 0.0 before GO."""
        return 0.0 if self._began_s is None else time.monotonic() - self._began_s

    def time_left(self) -> float:
        """Seconds to the hard limit."""
        return self.track.limit_s - self.elapsed()

    def progress(self) -> float:
        """Share of the time limit that has passed, 0 to 1."""
        return min(1.0, self.elapsed() / self.track.limit_s)

    def dummy_tokens(self, rows: int, length: int) -> "torch.Tensor":
        """int64 [rows, length] on the device: random tokens of the vocabulary, for warming up."""
        import torch

        return torch.randint(0, self.vocab_size, (rows, length), device=self.device)

    def train_tokens(self) -> TrainingTokens:
        """The training data; it exists from GO on, so in `train` only."""
        if self._tokens is None:
            raise RuntimeError("the training tokens exist only while train() runs")
        return self._tokens

    def log(
        self, *, step: int | None = None, tokens: int | None = None, loss: typing.Any = None, **metrics: typing.Any
    ) -> None:
        """Say how training goes; outside of `train` nobody listens. Points that follow each other too fast are merged,
        and the last one always arrives."""
        if not self._training:
            return
        named = list(metrics.items())[:METRICS_CAP]
        self._pending = Log(
            step=_count(step),
            tokens=_count(tokens),
            loss=_finite(loss),
            metrics={name[:64]: value for name, raw in named if (value := _finite(raw)) is not None},
        )
        if time.monotonic() - self._logged_s >= LOG_INTERVAL_S:
            self.flush_log()

    def finish_log(self) -> None:
        """The platform calls this before DONE."""
        self._training = False
        self.flush_log()

    def flush_log(self) -> None:
        if self._pending is not None:
            self._connection.send(self._pending)
            self._pending = None
            self._logged_s = time.monotonic()

    def begin(self, shards: tuple[str, ...]) -> None:
        """The platform calls this at GO."""
        self._began_s = time.monotonic()
        self._training = True
        assert self._job.data is not None
        self._tokens = TrainingTokens(Path(self._job.data), shards, self._job.separator)


def _count(value: typing.Any) -> int | None:
    """A whole number that every reader of JSON can hold; None for what is none."""
    return int(value) if value is not None and 0 <= value <= 2**53 else None


def _finite(value: typing.Any) -> float | None:
    """A number for JSON, which knows no NaN; tensors with one element count as numbers."""
    if value is None:
        return None
    number = float(value)
    return number if -1e300 < number < 1e300 else None


def load_entry(folder: str) -> tuple[types.ModuleType, types.ModuleType]:
    """Import config.py and speedrun.py from the submission's folder, and from nowhere else.

    The folder goes to the end of the path, so that a json.py beside the entry never stands in for the library's.
    """
    sys.path[:] = [entry for entry in sys.path if entry != BOOT]
    sys.path.append(folder)
    return _load("config", folder), _load("speedrun", folder)


def _load(name: str, folder: str) -> types.ModuleType:
    path = Path(folder) / f"{name}.py"
    if not path.is_file():
        raise MissingError(f"{name}.py is missing")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def function(module: types.ModuleType, name: str) -> Callable[..., typing.Any]:
    found = getattr(module, name, None)
    if not callable(found):
        raise MissingError(f"{module.__name__}.py must define {name}()")
    return typing.cast("Callable[..., typing.Any]", found)


def with_overrides(config: typing.Any, overrides: dict[str, str]) -> typing.Any:
    """The dataclass with fields replaced by texts converted to the fields' types. Raises ConfigError."""
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        raise ConfigError("get_config() must return an instance of a dataclass")
    if not overrides:
        return config
    hints = typing.get_type_hints(type(config))
    names = [field.name for field in dataclasses.fields(config)]
    values = {}
    for name, text in overrides.items():
        if name not in names:
            raise ConfigError(f"Config has no field {name!r}; its fields are: {', '.join(names)}")
        values[name] = converted(name, text, hints[name])
    return dataclasses.replace(config, **values)


def converted(name: str, text: str, wanted: typing.Any) -> object:
    """`text` as a bool, int, float, str, or an optional or a tuple of those. Raises ConfigError."""
    choices = typing.get_args(wanted) if typing.get_origin(wanted) in (typing.Union, types.UnionType) else (wanted,)
    if type(None) in choices and text.lower() in ("none", "null"):
        return None
    for choice in choices:
        try:
            if choice is bool:
                return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[text.lower()]
            if choice in (int, float, str):
                return choice(text)
            if typing.get_origin(choice) is tuple:
                parts = [part.strip() for part in text.split(",") if part.strip()]
                items = typing.get_args(choice)
                if items[-1] is Ellipsis:
                    items = items[:1] * len(parts)
                return tuple(converted(name, part, item) for part, item in zip(parts, items, strict=True))
        except (ValueError, KeyError):
            continue
    label = getattr(wanted, "__name__", str(wanted))
    raise ConfigError(f"{name} must be of type {label}, not {text!r}")


class Entry:
    """The submission's functions, and what the platform does when it leaves `save` and `load` out."""

    def __init__(self, module: types.ModuleType, run: Run) -> None:
        self.run = run
        self.setup = function(module, "setup")
        self.train = function(module, "train")
        self.predict = function(module, "predict")
        self._save = getattr(module, "save", None)
        self._load = getattr(module, "load", None)
        if (self._save is None) != (self._load is None):
            raise MissingError("speedrun.py must define both save() and load(), or neither")

    def save(self, model: typing.Any, folder: Path) -> None:
        import torch

        if self._save is not None:
            self._save(model, str(folder))
        elif callable(getattr(model, "state_dict", None)):
            torch.save(model.state_dict(), folder / "state.pt")
        else:
            raise MissingError("train() returned no torch module; speedrun.py must define save() and load()")

    def load(self, model: typing.Any, folder: Path) -> typing.Any:
        import torch

        if self._load is not None:
            return self._load(self.run, model, str(folder))
        state = torch.load(folder / "state.pt", map_location=self.run.device, weights_only=True)
        model.load_state_dict(state)
        return model


class Scorer:
    """Answers the parent's rows with log-probabilities."""

    def __init__(self, entry: Entry, model: typing.Any, vocab_size: int) -> None:
        import torch

        self._entry = entry
        self._model = model
        self._vocab_size = vocab_size
        if isinstance(model, torch.nn.Module):
            model.eval()

    def logits(self, tokens: "torch.Tensor") -> "torch.Tensor":
        """tokens: int64 [rows, T] → float [rows, T, vocab]. Raises OutputError."""
        import torch

        with torch.no_grad():
            logits = self._entry.predict(self._model, tokens)
        rows, width = tokens.shape
        if not isinstance(logits, torch.Tensor):
            raise OutputError(f"predict returned {type(logits).__name__}, not a tensor of logits")
        shape, kind = list(logits.shape), str(logits.dtype).removeprefix("torch.")
        if logits.ndim != 3 or shape[:2] != [rows, width] or shape[2] < self._vocab_size:
            wanted = f"[{rows}, {width}, {self._vocab_size} or more]"
            raise OutputError(f"predict returned logits of shape {shape}; wanted {wanted}")
        if not logits.dtype.is_floating_point:
            raise OutputError(f"predict returned {kind} logits; wanted floating point")
        return logits[..., : self._vocab_size]

    def answer_tokens(self, message: Tokens, payload: bytes) -> tuple[LogProbs, memoryview]:
        tokens = self._tokens(payload, message.rows, message.width)
        logits = self.logits(tokens[:, :-1])[:, -message.keep :]
        return LogProbs(), self._log_probs(logits, tokens[:, -message.keep :])

    def answer_cut(self, message: Cut, payload: bytes) -> tuple[Distribution, memoryview, memoryview]:
        import numpy as np
        import torch

        size = message.rows * (message.width + 1) * 2
        tokens = self._tokens(payload[:size], message.rows, message.width)
        cuts = torch.from_numpy(np.frombuffer(payload[size:], dtype="<i4").astype(np.int64)).to(tokens.device)
        every = torch.arange(message.rows, device=tokens.device)
        at_cut = self.logits(tokens[:, :-1])[every, cuts]
        own = self._log_probs(at_cut[:, None], tokens[every, cuts + 1][:, None])
        return Distribution(), at_cut.float().contiguous().cpu().numpy().data, own

    def _log_probs(self, logits: "torch.Tensor", targets: "torch.Tensor") -> memoryview:
        """logits [rows, T, vocab], targets [rows, T] → float32 [rows, T]; row by row, to bound the memory."""
        import torch

        picked = [
            torch.log_softmax(row.float(), dim=-1).gather(-1, target[:, None])[:, 0]
            for row, target in zip(logits, targets, strict=True)
        ]
        return torch.stack(picked).cpu().numpy().data

    def _tokens(self, payload: bytes, rows: int, width: int) -> "torch.Tensor":
        import numpy as np
        import torch

        tokens = np.frombuffer(payload, dtype="<u2").astype(np.int64).reshape(rows, width + 1)
        return torch.from_numpy(tokens).to(self._entry.run.device)


def messages(connection: Connection) -> Iterator[tuple[typing.Any, bytes]]:
    """The parent's words until it closes the connection."""
    while True:
        try:
            header, size = connection.header()
            yield decode_to_worker(header), bytes(connection.exactly(size))
        except ConnectionClosed:
            return


def set_up(job: Job, connection: Connection) -> tuple[Entry, typing.Any]:
    """Import the entry and build its model. Raises whatever the entry raises."""
    import torch

    torch.set_num_threads(job.threads)
    torch.manual_seed(job.seed)
    config_module, module = load_entry(job.submission)
    config = with_overrides(function(config_module, "get_config")(job.track.id), job.overrides)
    run = Run(job, config, connection)
    entry = Entry(module, run)
    model = entry.setup(run)
    if job.phase == "score":
        assert job.artifact is not None
        model = entry.load(model, Path(job.artifact))
    context, stride, rows = run._windows
    connection.send(Ready(parameters=parameters(model), context=context, stride=stride, rows=rows))
    return entry, model


def parameters(model: typing.Any) -> int | None:
    """Number of trainable and frozen numbers, shared ones once; None for what is no torch module."""
    import torch

    if not isinstance(model, torch.nn.Module):
        return None
    return sum(parameter.numel() for parameter in model.parameters())


def train(entry: Entry, model: typing.Any, message: Go, connection: Connection) -> typing.Any:
    """The timed phase: from GO to DONE."""
    import torch

    entry.run.begin(message.shards)
    if isinstance(model, torch.nn.Module):
        model.train()
    model = entry.train(entry.run, model)
    if entry.run.device.startswith("cuda"):
        torch.cuda.synchronize()
    entry.run.finish_log()
    connection.send(Done())
    return model


def send_artifact(entry: Entry, model: typing.Any, connection: Connection) -> None:
    """Save into scratch and send every file over the socket: the parent opens nothing that was written in here."""
    folder = Path(entry.run.scratch) / "artifact"
    folder.mkdir()
    entry.save(model, folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        name = path.relative_to(folder).as_posix()
        with path.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size == 0:
                connection.send(File(name=name))
                continue
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
                view = memoryview(content)
                connection.send(File(name=name), view)
                view.release()
    connection.send(Saved(files=len(files)))


def serve(job: Job, connection: Connection) -> None:
    """Set up, then do what the parent asks until it hangs up."""
    entry, model = set_up(job, connection)
    scorer: Scorer | None = None
    for message, payload in messages(connection):
        match message:
            case Go():
                scorer = None
                model = train(entry, model, message, connection)
            case Save():
                send_artifact(entry, model, connection)
            case Tokens():
                scorer = scorer or Scorer(entry, model, job.vocab_size)
                connection.send(*scorer.answer_tokens(message, payload))
            case Cut():
                scorer = scorer or Scorer(entry, model, job.vocab_size)
                connection.send(*scorer.answer_cut(message, payload))


def failure(error: BaseException, folder: str) -> Failed:
    """What went wrong, for the contestant: the last line, and the traceback from the entry's own code on."""
    import torch

    text = printable(str(error), 2000).strip()
    kind: typing.Literal["config", "missing", "syntax", "crash", "memory", "output"] = "crash"
    match error:
        case ConfigError():
            kind = "config"
        case MissingError():
            kind = "missing"
        case OutputError():
            kind = "output"
        case MemoryError() | torch.cuda.OutOfMemoryError():
            kind, text = "memory", text or "out of memory"
        case SyntaxError():
            kind = "syntax"
            text = f"{Path(error.filename or '?').name}, line {error.lineno}: {error.msg}"
        case RuntimeError() if "can't allocate memory" in text or "not enough memory" in text:
            kind = "memory"
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


def main(descriptor: int) -> int:
    connection = Connection(socket.socket(fileno=descriptor))
    hello = decode_to_worker(connection.header()[0])
    if not isinstance(hello, Hello):
        return 2
    report = lockdown.apply(hello.policy)
    connection.send(Locked(landlock_abi=report.landlock_abi, seccomp=report.seccomp))
    import faulthandler

    faulthandler.enable()  # a crash in native code leaves its Python line in the log
    import torch  # noqa: F401 - before the submission's folder is on the path

    try:
        serve(hello.job, connection)
    except ConnectionClosed:
        return 1
    except BaseException as error:
        try:
            connection.send(failure(error, hello.job.submission))
        except ConnectionClosed:
            return 1
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
