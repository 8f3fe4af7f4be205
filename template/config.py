"""Every number that the model and its training depend on. Change one from the command line: `--d-model 512`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    # The model.
    d_model: int = 512  # width of the residual stream
    n_layers: int = 8
    n_heads: int = 8  # query heads; d_model / n_heads, the width of one, is a multiple of 4
    n_kv_heads: int = 8  # key and value heads; fewer than n_heads (a divisor): grouped-query attention
    d_ff: int = 2048  # hidden width of a feed-forward layer, or of each expert
    num_experts: int = 0  # experts a layer; 0: one dense feed-forward layer
    top_k: int = 2  # experts that see each token
    balance_weight: float = 0.01  # of the loss that spreads tokens over the experts
    max_ngram: int = 2  # the last 2, 3, … max_ngram tokens are hashed into embeddings; 1: none
    ngram_rows: int = 65_536  # rows of each of those tables: memory and optimiser time, hardly any compute
    softcap: float = 15.0  # logits stay within ± this

    # The data.
    context: int = 1024  # tokens a training window
    eval_context: int = 1024  # tokens a scored window, at most what the track allows
    eval_stride: int = 512  # tokens from one scored window to the next; less: more past for each token, slower scoring
    batch_size: int = 8  # windows a micro-batch (reduce if out of memory, raise for speed)
    accumulation: int = 4  # micro-batches a step

    # The optimiser. Rates hold until the cooldown, then fall to zero by the end.
    muon_lr: float = 0.02  # weight matrices of the blocks
    embed_lr: float = 0.1  # token and n-gram embeddings, by AdamW
    head_lr: float = 0.004  # the output head, by AdamW
    momentum: float = 0.95  # of Muon
    weight_decay: float = 0.02  # of Muon's matrices, times the learning rate
    cooldown: float = 0.6  # share of the training time
    budget: float = 1.0  # share of the track's limit to train for; where the fastest wins, the least that still passes

    compile_s: int = 90  # seconds of the untimed set-up that torch.compile may take; 0: train without it


def get_config(track_id: str) -> Config:
    """What to train on a track; one that is not named here gets a model for one modern GPU.

    On a processor the n-gram tables do most of the learning: a look-up costs nothing, and a minute is too short for the
    blocks to find every word by themselves.
    """
    if track_id in ("cpu-1min", "cpu-smoke"):
        return Config(
            d_model=128,
            n_layers=4 if track_id == "cpu-1min" else 1,
            n_heads=2,
            n_kv_heads=2,
            d_ff=512,
            max_ngram=8,
            ngram_rows=8192,
            context=256,
            eval_context=256,
            eval_stride=192 if track_id == "cpu-1min" else 256,  # scoring is not timed, but a smoke test is short
            batch_size=16 if track_id == "cpu-1min" else 8,
            accumulation=1,
            muon_lr=0.03,
            embed_lr=0.05,
            head_lr=0.01,
            weight_decay=0.0,
            compile_s=75 if track_id == "cpu-1min" else 0,  # compiling takes longer than the whole smoke test
        )
    return Config()
