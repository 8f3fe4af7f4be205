"""Every number that the model and its training depend on. Change one from the command line: `--d-model 512`."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Config:
    # The model.
    d_model: int = 512  # width of the residual stream
    n_layers: int = 8
    n_heads: int = 8  # query heads; d_model / n_heads, the width of one, is a multiple of 4
    n_kv_heads: int = 0  # key and value heads; 0: n_heads; fewer (a divisor): grouped-query attention
    d_ff: int = 0  # hidden width of a feed-forward layer, or of each expert; 0: 4 × d_model
    num_experts: int = 0  # experts a layer; 0: one dense feed-forward layer
    top_k: int = 2  # experts that see each token
    balance_weight: float = 0.01  # of the loss that spreads tokens over the experts
    max_ngram: int = 2  # the last 2, 3, … max_ngram tokens are hashed into embeddings; 1: none
    ngram_rows: int = 65_536  # rows of each of those tables: memory, and no time
    softcap: float = 15.0  # logits stay within ± this
    dropout: float = 0.0  # share of every layer's output that training leaves out, against learning a text by heart

    # The data.
    context: int = 1024  # tokens a training window
    in_order: bool = False  # windows as the text runs, from its beginning, where a track asks for it; False: shuffled
    eval_context: int = 1024  # tokens a scored window, at most what the track allows
    eval_stride: int = 512  # tokens from one scored window to the next; less: more past for each token, slower scoring
    batch_size: int = 8  # windows a micro-batch of each rank (reduce if out of memory, raise for speed)
    accumulation: int = 4  # micro-batches a step
    loss_pieces: int = 1  # parts of a micro-batch that go through the head one by one: less memory, slower
    tokens: int = 0  # stop after so many, counted over all ranks; 0: when time is over

    # The optimiser. Rates hold until the cooldown, then fall to zero by the end.
    muon_lr: float = 0.02  # weight matrices of the blocks
    embed_lr: float = 0.1  # token embeddings, by AdamW
    ngram_lr: float = 0.1  # rows of the n-gram tables that were seen, by RMSprop
    head_lr: float = 0.004  # the output head, by AdamW
    adam_momentum: float = 0.8  # of AdamW
    momentum: float = 0.95  # of Muon
    weight_decay: float = 0.02  # of Muon's matrices, times the learning rate
    cooldown: float = 0.6  # share of the training

    compile_s: int = 90  # seconds of the untimed set-up that torch.compile may take; 0: train without it

    def __post_init__(self) -> None:
        """Raises ValueError, which names the field. `dataclasses.replace` comes through here, too."""
        at_least_one = ("d_model", "n_layers", "n_heads", "max_ngram", "ngram_rows", "top_k", "context", "eval_stride")
        for name in (*at_least_one, "batch_size", "accumulation", "loss_pieces"):
            require(getattr(self, name) >= 1, f"{name} must be at least 1")
        rates = ("muon_lr", "embed_lr", "ngram_lr", "head_lr")
        for name in ("n_kv_heads", "d_ff", "num_experts", "tokens", "compile_s", *rates):
            require(getattr(self, name) >= 0, f"{name} must be at least 0")
        width, heads, shared = self.d_model, self.n_heads, self.n_kv_heads or self.n_heads
        require(width % (4 * heads) == 0, f"d_model ({width}) must be a multiple of 4 × n_heads ({4 * heads})")
        require(heads % shared == 0, f"n_heads ({heads}) must be a multiple of n_kv_heads ({shared})")
        most = self.num_experts or self.top_k
        require(self.top_k <= most, f"num_experts ({most}) must be 0, or at least top_k ({self.top_k})")
        require(
            self.eval_stride <= self.eval_context, f"eval_stride must be at most eval_context ({self.eval_context})"
        )
        require(self.batch_size * self.context % self.loss_pieces == 0, "loss_pieces must divide batch_size × context")
        require(0 <= self.dropout < 1, "dropout must be at least 0 and below 1")
        require(0 < self.cooldown <= 1, "cooldown must be above 0 and at most 1")
        require(self.softcap > 0, "softcap must be above 0")


def require(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)


# A minute on a processor: a look-up costs nothing there, so the n-gram tables do most of the learning. What is left for
# the blocks is worth less than the text that one more of them would leave unread.
CPU_MINUTE = Config(
    d_model=128,
    n_layers=1,
    n_heads=2,
    max_ngram=8,
    ngram_rows=16_384,  # as many as the artifact has room for
    context=256,
    eval_context=256,
    eval_stride=192,
    batch_size=8,
    accumulation=1,
    muon_lr=0.03,
    embed_lr=0.05,
    head_lr=0.01,
    adam_momentum=0.9,
    weight_decay=0.0,
    compile_s=75,
)

# 100,000 tokens are learned by heart long before the five minutes are over. So the model is small, and `tokens` ends
# training after four epochs. In trials on a processor, with as much text of another kind, three to six were as good as
# each other, bigrams helped a little, and dropout of 0.1 to 0.3 made it worse.
T4 = Config(
    d_model=256,
    n_layers=4,
    n_heads=4,
    context=512,
    eval_context=512,
    eval_stride=128,  # little is scored here, so each token may see much of its past
    batch_size=4,
    accumulation=1,
    tokens=400_000,
    weight_decay=0.1,
    compile_s=150,
)
T4_PRESETS = {
    "default": T4,
    "balanced": T4,
    "memory": replace(T4, batch_size=1, accumulation=4),  # the same steps in less than half the memory
    "performance": replace(T4, d_model=512, n_layers=8, n_heads=8),  # what the card has room and time for
}

# 151 million parameters. Half of them lie in tables of n-grams, where a look-up costs no compute: with fewer layers,
# the same number of tokens takes less time.
SPRINT_4090 = Config(
    max_ngram=3,
    ngram_rows=73_728,
    context=2048,
    eval_context=2048,
    in_order=True,
    accumulation=1,
    compile_s=300,
)

# About what 24 GB and four hours train best: as large as GPT-2 small, and a table of bigrams.
LONG_4090 = Config(
    d_model=768,
    n_layers=12,
    n_heads=6,
    context=2048,
    eval_context=2048,
    batch_size=4,
    accumulation=16,
    weight_decay=0.05,
    compile_s=300,
)

# GPT-2 small, 524,288 tokens a step over eight ranks: about what the NanoGPT speedrun calls its simple baseline, and
# its rates. 3,250 such steps gave 3.279 there.
GPT2_SMALL = Config(
    d_model=768,
    n_layers=12,
    n_heads=6,
    max_ngram=1,
    context=2048,
    eval_context=2048,
    in_order=True,
    batch_size=16,
    accumulation=2,
    muon_lr=0.025,
    embed_lr=0.7,
    weight_decay=0.05,
    cooldown=0.7,
    compile_s=400,
)

# The size that the contest for 2.92 is about.
GPT2_MEDIUM = replace(GPT2_SMALL, d_model=1024, n_layers=24, n_heads=8, batch_size=8, accumulation=4)

# Where the fastest wins, `tokens` ends training about where the target is reached. These are guesses from published
# runs, with something to spare: nobody has trained this model on these cards yet. A miss has no time at all, so measure
# first, then lower them.
TRACKS = {
    "cpu-1min": CPU_MINUTE,
    # Scoring is not timed, but a smoke test is short; compiling would take longer than all of it.
    "cpu-smoke": replace(CPU_MINUTE, n_layers=1, batch_size=8, eval_stride=256, compile_s=0),
    "4090-train-4.5": replace(SPRINT_4090, tokens=12_000_000),
    "4090-train-3.5": replace(SPRINT_4090, tokens=120_000_000, accumulation=2),
    "4090-100m-dash": replace(SPRINT_4090, tokens=100_000_000, accumulation=4),
    "4090-100m-val": replace(SPRINT_4090, in_order=False, accumulation=4, weight_decay=0.1),  # for some epochs
    "4090-val-3.0": replace(LONG_4090, tokens=1_200_000_000),
    "4090-1b-marathon": LONG_4090,
    "h100x8-val-3.28": replace(GPT2_SMALL, tokens=1_750_000_000),
    "h100x8-val-2.92": replace(GPT2_MEDIUM, tokens=4_000_000_000),
    "h100-5min": Config(batch_size=32, compile_s=300),
}


def get_config(track_id: str, preset: str = "default") -> Config:
    """What to train on a track; one that is not named here gets a model for one modern GPU.

    Raises:
        ValueError: the track has no such preset.
    """
    presets = T4_PRESETS if track_id == "t4-5min" else {"default": TRACKS.get(track_id, Config())}
    if preset not in presets:
        raise ValueError(f"there is no preset {preset!r}; {track_id} has {', '.join(presets)}")
    return presets[preset]


def create_custom_t4_config(
    *,
    d_model: int = T4.d_model,
    n_layers: int = T4.n_layers,
    n_heads: int = T4.n_heads,
    batch_size: int = T4.batch_size,
    num_experts: int = T4.num_experts,
    muon_lr: float = T4.muon_lr,
) -> Config:
    """The T4's config with other sizes: `return create_custom_t4_config(d_model=512)` in get_config.

    Raises:
        ValueError: sizes that do not go together; it names the field.
    """
    return replace(
        T4,
        d_model=d_model,
        n_layers=n_layers,
        n_heads=n_heads,
        d_ff=2 * d_model if num_experts else 0,  # two such experts cost a token what one dense layer does
        num_experts=num_experts,
        batch_size=batch_size,
        loss_pieces=batch_size
        if batch_size > T4.batch_size
        else T4.loss_pieces,  # so that any batch has room for logits
        muon_lr=muon_lr,
    )
