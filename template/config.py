"""Every number that the model and its training depend on. Change one from the command line: `--d-model 512`."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Config:
    # The model.
    d_model: int = 768  # width of the residual stream
    n_layers: int = 12
    n_heads: int = 6  # query heads; d_model / n_heads is the width of one, and even
    n_kv_heads: int = 6  # key and value heads; fewer than n_heads: grouped-query attention
    d_ff: int = 3072  # hidden width of a feed-forward layer, or of each expert
    num_experts: int = 0  # experts a layer; 0: one dense feed-forward layer
    top_k: int = 2  # experts that see each token
    balance_weight: float = 0.01  # of the loss that spreads tokens over the experts
    max_ngram: int = 2  # the last 2, 3, … max_ngram tokens are hashed into embeddings; 1: none
    ngram_rows: int = 65_536  # rows of each of those tables (memory and optimiser time, hardly any compute)
    softcap: float = 15.0  # logits stay within ± this

    # The data.
    context: int = 1024  # tokens a training window
    eval_context: int = 1024  # tokens a scored window, at most what the track allows
    eval_stride: int = 512  # tokens from one scored window to the next; less: more past for each token, slower scoring
    batch_size: int = 32  # windows a micro-batch (reduce if out of memory)
    accumulation: int = 1  # micro-batches a step

    # The optimiser.
    muon_lr: float = 0.025  # weight matrices
    head_lr: float = 0.004  # the output head, by AdamW
    embed_lr: float = 0.3  # token and n-gram embeddings, by AdamW
    momentum: float = 0.95
    weight_decay: float = 0.02  # of the matrices, times the learning rate
    cooldown: float = 0.6  # share of the training time, at its end, over which the rates fall to zero
    budget: float = 1.0  # share of the track's limit to train for; where the fastest wins, the least that still passes

    compile: bool = True  # torch.compile during the untimed set-up; falls back to eager where there is no compiler


def get_config(track_id: str) -> Config:
    """What to train on this track. A track that is not named gets a GPT of 124 M parameters for one modern GPU."""
    if track_id == "cpu-1min":
        return CPU
    if track_id == "cpu-smoke":
        return replace(CPU, compile=False)
    return Config()


CPU = Config(
    d_model=128,
    n_layers=4,
    n_heads=4,
    n_kv_heads=4,
    d_ff=512,
    max_ngram=4,
    ngram_rows=16_384,
    context=256,
    eval_context=512,
    eval_stride=256,
    batch_size=16,
    muon_lr=0.03,
    head_lr=0.01,
    embed_lr=0.05,
    weight_decay=0.0,
)
