"""LoRA-MoE and plain LoRA on any Hugging Face decoder, in plain PyTorch: what docs/method.md section 1 says, line by line.

Shapes: x (N, C), router W_r (E, C), lora_A (R, C), lora_B (O, R). Parameters are kept in a dictionary under their file keys
and put on the model with `attach`; `batch_loss`, `gradients` and `train` are the quantities that our own runs are held against.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn
from transformers import AutoModelForCausalLM

PREFIX = "base_model.model."
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
DEFAULTS = {
    "seed": 1,
    "data": {"maxLength": 256, "shuffle": True, "validation": 0.05},
    "adapter": {"method": "lora-moe", "targets": TARGETS, "rank": 8, "experts": 8, "topK": 2, "alpha": 16, "dropout": 0.05,
                "scale": "constant", "balance": 0.001},
    "train": {"steps": 100, "epochs": None, "batch": 64, "microBatch": 16, "learningRate": 3e-4, "schedule": "linear", "warmupSteps": 0,
              "weightDecay": 0, "clipNorm": 1},
}


def top_k_lowest_first(z, k):
    """Indices of the k largest entries of each row (N, E); ties go to the lower index."""
    return torch.sort(z, dim=-1, descending=True, stable=True).indices[:, :k]


class Batch:
    """What every site must know of the batch, and what it leaves behind: which tokens are real, and the balance losses."""

    def __init__(self):
        self.real = None  # (N,) bool: not padding
        self.balance = []  # one scalar a routed site


class LoraMoeLinear(nn.Module):
    """y = x W0ᵀ (+ b) + Σ_i w_i s_i · x A_iᵀ B_iᵀ over the top-k experts of every token. Dropout is 0."""

    def __init__(self, base, router, experts, scales, top_k, batch):
        super().__init__()
        self.base, self.router, self.experts, self.scales, self.top_k, self.batch = base, router, experts, scales, top_k, batch

    def forward(self, x3):
        y = self.base(x3)
        x = x3.reshape(-1, x3.shape[-1])  # (N, C)
        count = len(self.experts)
        keep = min(self.top_k, count)
        p = F.softmax(x @ self.router.T, dim=-1)  # (N, E)
        kept = torch.zeros_like(p).scatter(1, top_k_lowest_first((x @ self.router.T).detach(), keep), 1.0)
        w = p * kept / (p * kept).sum(-1, keepdim=True)
        delta = sum(w[:, i : i + 1] * self.scales[i] * (x @ a.T @ b.T) for i, (a, b) in enumerate(self.experts))
        real = self.batch.real
        f = kept[real].sum(0) / (keep * real.sum())  # share of the kept (token, slot) pairs; no gradient
        self.batch.balance.append(count * (f * p[real].mean(0)).sum())
        return y + delta.reshape(y.shape)


class LoraLinear(nn.Module):
    """y = x W0ᵀ (+ b) + α/R · x Aᵀ Bᵀ, R being the configured rank even where the site's own is lower."""

    def __init__(self, base, a, b, scale):
        super().__init__()
        self.base, self.a, self.b, self.scale = base, a, b, scale

    def forward(self, x):
        return self.base(x) + self.scale * (x @ self.a.T @ self.b.T)


class ExactRMSNorm(nn.Module):
    """transformers' RMSNorm computes in float32 whatever the model's type; this one keeps the type."""

    def __init__(self, norm):
        super().__init__()
        self.weight, self.eps = norm.weight, norm.variance_epsilon

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps))


def load_model(folder, dtype=torch.float64):
    """The checkpoint with every weight frozen and all compute in `dtype`."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa", local_files_only=True)
    model = model.to(dtype).eval().requires_grad_(False)
    for name, module in list(model.named_modules()):
        if type(module).__name__.endswith("RMSNorm"):
            replace(model, name, ExactRMSNorm(module))
    return model


def replace(model, path, module):
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, module)


def load_adapter(file, dtype=torch.float64):
    """Tensors of an adapter file as trainable parameters, by key."""
    return {k: nn.Parameter(v.to(dtype)) for k, v in sorted(load_file(file).items())}


def attach(model, tensors, settings):
    """Puts the adapter on the model. `settings` are run.json's `adapter` keys. Returns the Batch that its sites share."""
    batch = Batch()
    sites = sorted({k[len(PREFIX) :].split(".experts.")[0].split(".router.")[0].split(".lora_")[0] for k in tensors})
    for site in sites:
        base, key = model.get_submodule(site), PREFIX + site
        if f"{key}.lora_A.weight" in tensors:
            a, b = tensors[f"{key}.lora_A.weight"], tensors[f"{key}.lora_B.weight"]
            replace(model, site, LoraLinear(base, a, b, settings["alpha"] / settings["rank"]))
            continue
        router, experts = tensors[f"{key}.router.weight"], []
        while f"{key}.experts.{len(experts)}.lora_A.weight" in tensors:
            experts.append(tuple(tensors[f"{key}.experts.{len(experts)}.lora_{m}.weight"] for m in "AB"))
        assert len(experts) == router.shape[0], f"{site}: {len(experts)} experts, router of {router.shape[0]}"
        per_expert = settings["scale"] == "per-expert"
        scales = [settings["alpha"] / (a.shape[0] if per_expert else settings["rank"]) for a, _ in experts]
        replace(model, site, LoraMoeLinear(base, router, experts, scales, settings["topK"], batch))
    return batch


def load_rows(file, max_length):
    """Rows of a pre-tokenised JSONL as (input_ids, labels), cut to max_length; rows without a loss-carrying token are left out."""
    rows = [json.loads(line) for line in Path(file).read_text().splitlines() if line.strip()]
    rows = [(r["input_ids"][:max_length], r["labels"][:max_length]) for r in rows]
    return [r for r in rows if loss_tokens([r])]


def loss_tokens(rows):
    """Loss-carrying tokens: t ≥ 1 with a label."""
    return sum(label != -100 for _, labels in rows for label in labels[1:])


def micro_batch(model, batch, rows):
    """(summed cross-entropy over loss-carrying tokens, Σ over sites of L_bal) of one micro-batch, right-padded."""
    length = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([ids + [0] * (length - len(ids)) for ids, _ in rows])
    labels = torch.tensor([labels + [-100] * (length - len(labels)) for _, labels in rows])
    real = torch.tensor([[t < len(ids) for t in range(length)] for ids, _ in rows])
    batch.real, batch.balance = real.reshape(-1), []
    logits = model(ids, attention_mask=real.long(), use_cache=False).logits
    ce = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100, reduction="sum")
    return ce, sum(batch.balance) if batch.balance else torch.zeros((), dtype=logits.dtype)


def accumulate(model, batch, tensors, rows, size, coefficient):
    """Gradients of CE (mean over all loss-carrying tokens of `rows`) + coefficient · Σ L_bal (averaged over micro-batches), into .grad.

    Returns (ce, balance) as floats."""
    for p in tensors.values():
        p.grad = torch.zeros_like(p)
    total, micros = loss_tokens(rows), [rows[i : i + size] for i in range(0, len(rows), size)]
    ce_mean = balance_mean = 0.0
    for micro in micros:
        ce, balance = micro_batch(model, batch, micro)
        loss = ce / total + coefficient * balance / len(micros)
        loss.backward()
        ce_mean += ce.item() / total
        balance_mean += balance.item() / len(micros)
    return ce_mean, balance_mean


def learning_rate(step, train):
    """Rate of the update made when `step` updates are done: warm-up from 0, then linear, cosine or constant."""
    peak, warm, steps = train["learningRate"], train["warmupSteps"], train["steps"]
    if step < warm:
        return peak * step / warm
    part = (step - warm) / (steps - warm)
    return {"constant": peak, "linear": peak * (1 - part), "cosine": peak * (1 + torch.cos(torch.tensor(part * torch.pi, dtype=torch.float64)).item()) / 2}[
        train["schedule"]
    ]


def load_run(file):
    """run.json with the defaults filled in. Only dropout 0 without shuffling can be repeated here."""
    given = json.loads(Path(file).read_text())
    run = {k: {**v, **given.get(k, {})} if isinstance(v, dict) else given.get(k, v) for k, v in DEFAULTS.items()}
    assert run["adapter"]["dropout"] == 0, "adapter.dropout must be 0"
    if run["adapter"]["method"] == "lora":
        run["adapter"]["balance"] = 0
    return run


def gradients(model_dir, adapter_file, data_file, run, dtype=torch.float64):
    """One micro-batch of all rows → {loss, ce, balance, and the gradient of every adapter tensor under its key}."""
    model, tensors = load_model(model_dir, dtype), load_adapter(adapter_file, dtype)
    batch = attach(model, tensors, run["adapter"])
    rows = load_rows(data_file, run["data"]["maxLength"])
    coefficient = run["adapter"]["balance"]
    ce, balance = accumulate(model, batch, tensors, rows, len(rows), coefficient)
    scalars = {"loss": ce + coefficient * balance, "ce": ce, "balance": balance}
    return {**{k: torch.tensor(v, dtype=torch.float64) for k, v in scalars.items()}, **{k: p.grad for k, p in tensors.items()}}


def train(model_dir, adapter_file, data_file, run, dtype=torch.float64):
    """A whole run without shuffling → (one dictionary a step, with the values before its update; final tensors by key)."""
    t, data = run["train"], run["data"]
    assert not data["shuffle"], "data.shuffle must be false"
    model, tensors = load_model(model_dir, dtype), load_adapter(adapter_file, dtype)
    batch = attach(model, tensors, run["adapter"])
    rows = load_rows(data_file, data["maxLength"])
    rows = rows[: len(rows) - round(len(rows) * data["validation"])]
    steps = t["steps"] if t["epochs"] is None else t["epochs"] * (len(rows) // t["batch"])
    t = {**t, "steps": steps}
    coefficient = run["adapter"]["balance"]
    optimizer = torch.optim.AdamW(tensors.values(), lr=0.0, weight_decay=t["weightDecay"])
    log = []
    for step in range(steps):
        taken = [rows[(step * t["batch"] + i) % len(rows)] for i in range(t["batch"])]
        ce, balance = accumulate(model, batch, tensors, taken, t["microBatch"], coefficient)
        norm = nn.utils.clip_grad_norm_(tensors.values(), t["clipNorm"]).item()
        lr = learning_rate(step, t)
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
        log.append({"step": step + 1, "loss": ce + coefficient * balance, "ce": ce, "balance": balance, "lr": lr, "grad_norm": norm,
                    "tokens": sum(len(ids) for ids, _ in taken), "loss_tokens": loss_tokens(taken)})
    return log, {k: p.detach() for k, p in tensors.items()}


def logits(model_dir, adapter_file, ids, settings, dtype=torch.float64):
    """Logits (B, T, V) of the adapted model; ids (B, T)."""
    model, tensors = load_model(model_dir, dtype), load_adapter(adapter_file, dtype)
    batch = attach(model, tensors, settings)
    batch.real = torch.ones(ids.numel(), dtype=torch.bool)
    with torch.no_grad():
        return model(ids, use_cache=False).logits


def check_worked_example():
    """Worked example D of docs/method.md."""
    base = nn.Linear(2, 1, bias=False).double()
    base.weight.data = torch.tensor([[0.5, -0.25]], dtype=torch.float64)
    t = lambda v: torch.tensor(v, dtype=torch.float64)
    batch = Batch()
    batch.real = torch.ones(1, dtype=torch.bool)
    experts = [(t([[1.0, 0.0]]), t([[1.0]])), (t([[0.0, 1.0]]), t([[-0.5]])), (t([[1.0, 1.0]]), t([[3.0]]))]
    site = LoraMoeLinear(base, t([[0.2, 0.0], [0.0, 0.5], [-0.5, 0.0]]), experts, [2.0, 2.0, 2.0], 2, batch)
    y = site(t([[[1.0, 2.0]]])).item()
    assert abs(y + 0.7598979) < 1e-7 and abs(batch.balance[0].item() - 1.299878) < 1e-6, (y, batch.balance)
