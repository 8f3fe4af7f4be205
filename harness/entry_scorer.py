"""The parent's rows, answered by the entry's `predict`. Travels into the sandbox."""

import typing

from harness.entry_module import Entry
from harness.protocol import Cut, Distribution, LogProbs, Tokens

if typing.TYPE_CHECKING:
    import torch


class OutputError(Exception):
    """predict returned something that is no logits."""


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

    def answer_tokens(self, message: Tokens, payload: bytes) -> tuple[LogProbs, *tuple[memoryview, ...]]:
        tokens = self._tokens(payload, message.rows, message.width)
        logits, targets = self.logits(tokens[:, :-1])[:, -message.keep :], tokens[:, -message.keep :]
        log_probs = self._log_probs(logits, targets)
        return (LogProbs(), log_probs, self._greedy(logits, targets)) if message.greedy else (LogProbs(), log_probs)

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

    def _greedy(self, logits: "torch.Tensor", targets: "torch.Tensor") -> memoryview:
        """logits [rows, T, vocab], targets [rows, T] → uint8 [rows, T]: would greedy decoding say it? Row by row."""
        import torch

        found = [row.argmax(-1) == target for row, target in zip(logits, targets, strict=True)]
        return torch.stack(found).to(torch.uint8).cpu().numpy().data

    def _tokens(self, payload: bytes, rows: int, width: int) -> "torch.Tensor":
        import numpy as np
        import torch

        tokens = np.frombuffer(payload, dtype="<u2").astype(np.int64).reshape(rows, width + 1)
        return torch.from_numpy(tokens).to(self._entry.run.device)
