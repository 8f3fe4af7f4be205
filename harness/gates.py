"""What a track asks of an entry: how it may be scored, its parameters, what it says of its tokens."""

import math

from data.manifest import Manifest
from harness.dialogue import Ending
from harness.evaluation import Windows
from harness.protocol import Ready
from harness.result import BELOW_FLOOR_NATS, Verdict
from harness.track import Gates, Track

MOST_CALL_TOKENS = 1 << 22  # rows × context of one predict call


def data_obstacles(track: Track, dataset: Manifest) -> tuple[str, ...]:
    """What keeps a run on this data set from being ranked on a track."""
    if dataset.id != track.dataset:
        return (f"it was trained on {dataset.id}, not on {track.dataset}",)
    if not dataset.pinned:
        remedy = f"a maintainer writes them: speedrun data prepare {dataset.id} --pin"
        return (f"{dataset.id} has no pinned hashes yet ({remedy})",)
    return ()


def windows(ready: Ready, max_context: int, targets: int) -> Windows:
    """How the scored stream is cut, as the entry asked for at READY. Raises Ending: RULE_VIOLATION."""
    fits = 1 <= ready.stride <= ready.context <= max_context and 1 <= ready.rows <= MOST_CALL_TOKENS // ready.context
    if not fits:
        raise Ending(
            Verdict.RULE_VIOLATION,
            f"scoring with context {ready.context}, stride {ready.stride} and {ready.rows} rows is not possible "
            f"here: 1 ≤ stride ≤ context ≤ {max_context}, and rows × context ≤ {MOST_CALL_TOKENS}",
        )
    context = min(ready.context, targets)
    return Windows(targets=targets, context=context, stride=min(ready.stride, context))


def hold_to_parameters(count: int | None, gates: Gates) -> None:
    """`count`: as the worker counted them; None: they can't be counted. Raises Ending: PARAMETER_LIMIT."""
    if gates.parameters_min is None and gates.parameters_max is None:
        return
    least, most = gates.parameters_min or 0, gates.parameters_max or math.inf
    if count is None or not least <= count <= most:
        has = "a number of parameters that can't be counted" if count is None else f"{count:,} parameters"
        raise Ending(Verdict.PARAMETER_LIMIT, f"the model has {has}; this track asks for {least:,} to {most:,}")


def hold_to_floor(loss_nats: float, floor_nats: float | None) -> None:
    """`floor_nats`: the loss of whoever wrote the text; None: nobody knows it. Raises Ending: RULE_VIOLATION."""
    if floor_nats is not None and not loss_nats >= floor_nats - BELOW_FLOOR_NATS:
        raise Ending(
            Verdict.RULE_VIOLATION,
            f"the loss of {loss_nats:.4f} nats a token lies below {floor_nats:.4f}, the loss of the generator that "
            "wrote the scored text: no model is better than that, so the entry knows the text itself",
        )


def hold_to_tokens(declared: int | None, gates: Gates) -> None:
    """`declared`: the training tokens that the entry logged last. Raises Ending: RULE_VIOLATION."""
    least = gates.declared_tokens_min
    if least is None:
        return
    if declared is None or not declared >= least:
        said = "no number of tokens" if declared is None else f"{declared:,} tokens"
        raise Ending(
            Verdict.RULE_VIOLATION,
            f"the entry logged {said}; this track asks for training on at least {least:,} (run.log(tokens=…))",
        )
