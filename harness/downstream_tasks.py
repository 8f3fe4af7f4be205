"""lm-eval's side of downstream scores: its tasks, a model for it that answers by texts, and what it makes of them.

lm-eval (EleutherAI's lm-evaluation-harness) is optional and slow to import: it is imported here, inside functions. It
runs in this process and is trusted, with the code of its tasks; what it prints goes nowhere.
"""

import contextlib
import importlib.metadata
import io
import logging
import math
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.downstream_rows import Said, Text
from harness.errors import UserError, nearest
from harness.evaluation import Stream
from harness.protocol import printable
from harness.result import (
    MOST_METRICS,
    MOST_SCORE,
    MOST_TASKS,
    NAME_LENGTH,
    DownstreamMetric,
    DownstreamTask,
    Level,
    TwinReport,
)

INSTALL = "pip install -c constraints.txt -e '.[downstream]'"
SHOTS_SEED = 1234  # lm-eval's own, for the examples before a question
BOOTSTRAPS = 1_000  # for standard errors that have no formula

Score = Callable[[Sequence[Text]], Sequence[Said]]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """lm-eval and what it stands on print, log and warn; none of that belongs between a command and its answer."""
    loggers = [logging.getLogger(name) for name in ("lm_eval", "datasets", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    before = os.environ.get("DISABLE_MULTIPROC")
    os.environ["DISABLE_MULTIPROC"] = "1"  # or standard errors would be counted in processes of their own
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if before is None:
            del os.environ["DISABLE_MULTIPROC"]
        else:
            os.environ["DISABLE_MULTIPROC"] = before


class Tasks:
    """Tasks of lm-eval, loaded with their documents."""

    def __init__(self, names: Sequence[str], include: Path | None) -> None:
        """Loads them, by name; include: a folder with task files of one's own.

        Raises:
            UserError: lm-eval is not installed, an unknown task, one that lets the model write, data out of reach.
        """
        with quiet():
            try:
                from lm_eval.tasks import TaskManager
            except ImportError:
                raise UserError(f"downstream scores need lm-eval, which is not installed; {INSTALL}") from None
            if include is not None and not include.is_dir():
                raise UserError(f"there is no folder {include}; --include takes one with task files of lm-eval")
            manager = None
            self._own = frozenset[str]()  # names that the folder has, whether lm-eval has them or not
            if include is not None:  # lm-eval's own index of 14,000 tasks takes seconds
                manager = _index(TaskManager, include, defaults=False)
                self._own = frozenset(manager.all_tasks)
            if manager is None or not set(names) <= set(manager.all_tasks):
                manager = _index(TaskManager, include, defaults=True)
            if unknown := [name for name in names if name not in manager.all_tasks]:
                raise UserError(f"lm-eval has no task {_line(unknown[0])!r}: {nearest(unknown[0], manager.all_tasks)}")
            try:
                self._loaded = manager.load(list(names))
            except Exception as error:  # whatever a task's code and the hub raise
                raise UserError(
                    f"{' and '.join(map(_line, names))} can't be loaded, for lm-eval says {_told(error)}; tasks of the "
                    "hub need the network the first time"
                ) from None
            self._prepare()

    def _prepare(self) -> None:
        """As lm-eval's own command does before it evaluates."""
        tasks = self._loaded["tasks"]
        if len(tasks) > MOST_TASKS:
            raise UserError(f"these are {len(tasks)} tasks with all that belong to them; ask for at most {MOST_TASKS}")
        for name, task in tasks.items():
            if task.OUTPUT_TYPE == "generate_until":
                raise UserError(
                    f"{_line(name)} lets the model write (generate_until); only tasks that work by log-likelihood can "
                    "be evaluated"
                )
            if task.get_config("num_fewshot") is None:
                task.set_config(key="num_fewshot", value=0)
            task.set_fewshot_seed(seed=SHOTS_SEED)

    def evaluate(self, encode: Callable[[str], Stream], separator: int | None, score: Score, limit: int | None) -> None:
        """Asks everything and keeps lm-eval's results. Raises UserError for a fault of a task, and what `score` raises.

        encode: text to tokens. separator: the token that begins a document. limit: the first so many documents a task.
        """
        asked: list[Exception] = []

        def answered(texts: Sequence[Text]) -> Sequence[Said]:
            try:
                return score(texts)
            except Exception as error:
                asked.append(error)  # not a fault of lm-eval's, whatever it makes of it
                raise

        with quiet():
            from lm_eval.evaluator import evaluate

            try:
                found = evaluate(
                    lm=_model(encode, separator, answered),
                    task_dict=self._loaded,
                    limit=limit,
                    bootstrap_iters=BOOTSTRAPS,
                    log_samples=False,
                )
            except UserError:
                raise
            except Exception as error:
                if asked:
                    raise asked[0] from None
                raise UserError(f"lm-eval could not evaluate these tasks: it says {_told(error)}") from None
        self._found: Mapping[str, Any] = found

    def results(self, twins: Mapping[str, TwinReport], limit: int | None, level: Level) -> tuple[DownstreamTask, ...]:
        """What came of it, in the order in which it was asked for, groups after their tasks.

        twins: by task; one that is left out has no results. level: of the sandbox that was asked.
        """
        found, version = self._found, importlib.metadata.version("lm_eval")
        groups = [name for name in found["results"] if name not in self._loaded["tasks"]]
        tasks = []
        for name in (*(name for name in self._loaded["tasks"] if name in twins), *groups):
            metrics = _metrics(found["results"].get(name, {}))
            documents = found["results"].get(name, {}).get("sample_len")
            shots = found["n-shot"].get(name)
            if not metrics or not isinstance(documents, int) or documents < 1:
                continue
            tasks.append(
                DownstreamTask(
                    name=_name(name),
                    own=name in self._own,
                    version=_line(str(found["versions"].get(name, ""))),
                    lm_eval=_line(version),
                    level=level,
                    documents=documents,
                    limit=limit,
                    shots=shots if isinstance(shots, int) else None,
                    metrics=metrics,
                    twin=twins.get(name),
                )
            )
        return tuple(tasks[:MOST_TASKS])


def _index(manager: Any, include: Path | None, *, defaults: bool) -> Any:
    try:
        return manager(include_path=None if include is None else str(include), include_defaults=defaults)
    except Exception as error:  # YAML that is none, mostly
        raise UserError(f"the task files can't be read: {_told(error)}") from None


def _metrics(result: Mapping[str, Any]) -> tuple[DownstreamMetric, ...]:
    """The numbers of a task; what is no finite number is left out."""
    found = []
    for key, said in result.items():
        metric, _, chosen = key.partition(",")
        value = _number(said)
        if not chosen or metric.endswith("_stderr") or value is None:
            continue
        name = metric if chosen == "none" else f"{metric},{chosen}"
        stderr = _number(result.get(f"{metric}_stderr,{chosen}"))
        found.append(DownstreamMetric(name=_name(name), value=value, stderr=stderr))
    return tuple(found[:MOST_METRICS])


def _name(text: str) -> str:
    """As a record takes it: no blanks, and nothing that separates names elsewhere."""
    return re.sub(r"[^!-~]|[=;]", "_", text)[:NAME_LENGTH] or "_"


def _number(value: Any) -> float | None:
    """A number that a record takes; None: it is none."""
    try:
        number = math.nan if isinstance(value, str) else float(value)
    except (TypeError, ValueError):
        return None
    return number if abs(number) <= MOST_SCORE else None


def _model(encode: Callable[[str], Stream], separator: int | None, score: Score) -> Any:
    """The entry as a model of lm-eval's."""
    import numpy as np
    from lm_eval.api.model import LM

    def begun(tokens: Stream) -> Stream:
        """With the separator before them, where it is not there already."""
        if separator is None:
            raise UserError(
                "this data set has no separator that could stand before a text, and these tasks ask for texts without "
                "a context; leave them out"
            )
        there = tokens.size > 0 and tokens[0] == separator
        return tokens if there else np.concatenate([np.array([separator], dtype=np.uint16), tokens])

    def text(task: str, context: str, continuation: str) -> Text | None:
        """None: nothing is asked."""
        # Blanks belong to the word behind them, or tokens would be cut where no tokenizer cuts.
        before, tokens = encode(context.rstrip()), encode(context + continuation)
        first = before.size
        if first == 0:
            tokens, first = begun(tokens), 1
        else:
            tokens = np.concatenate([before, tokens[first:]])
        return Text(task, tokens, first) if first < tokens.size else None

    class Model(LM):  # type: ignore[misc]
        """Answers by texts; one that asks for nothing is certain."""

        def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
            texts = [text(request.task_name, *request.args) for request in requests]
            answers = iter(score([one for one in texts if one is not None]))
            return [(0.0, True) if one is None else _whole(next(answers)) for one in texts]

        def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
            texts = [text(request.task_name, "", request.args[0]) for request in requests]
            answers = iter(score([one for one in texts if one is not None]))
            return [0.0 if one is None else _whole(next(answers))[0] for one in texts]

        def generate_until(self, requests: Sequence[Any]) -> list[str]:
            raise UserError("tasks that let the model write (generate_until) can't be evaluated; leave them out")

    return Model()


def _whole(said: Said) -> tuple[float, bool]:
    """Of a text: the sum in nats, and whether greedy decoding would say it."""
    return float(said.log_probs.sum(dtype="float64")), bool(said.greedy.all())


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(printable(str(error), 300).split())}"


def _line(text: str) -> str:
    return " ".join(printable(text, NAME_LENGTH).split()) or "?"
