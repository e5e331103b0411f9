"""GuiLoMo's search for experts and ranks, in plain PyTorch: what the method says of GuidedSelection Vectors and of the bilevel search.

Shapes: x (N, C), router W_r (E, C), A (R, C), B (O, R), rank_scale e (R), expert GSV (E; E + 1 with closable), rank GSV (R) an expert.
`w` are the lower tensors (A, B, e, W_r), `a` the GSVs, both dictionaries by file key. Masks are constants in the forward pass; `Mask`
has the hand-written backward of both estimators. Sizes are argmax, dropout is 0, the split is disjoint and nothing is shuffled.
"""

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

import lora_moe
from lora_moe import PREFIX, learning_rate, loss_tokens, micro_batch

DEFAULTS = {
    "estimator": "survival", "sizes": "argmax", "order": "first-order", "split": "disjoint", "steps": 200, "batch": 64, "microBatch": 16,
    "learningRate": 3e-4, "schedule": "linear", "warmupSteps": 0, "lowerOnlySteps": 0, "weightDecay": 0, "clipNorm": 1, "upperLearningRate": 3e-3,
    "cost": 0, "budget": None, "closable": False,
}


def is_gsv(key):
    return key.endswith((".gsv_expert", ".gsv_rank"))


# Sizes, soft values and the straight-through backward.


def open_experts(g, top_k, closable):
    """Number of open experts: max(K, argmax + 1); with closable the index itself. Ties go to the lower index."""
    return int(torch.argmax(g)) if closable else max(top_k, int(torch.argmax(g)) + 1)


def open_rows(g, closable=False):
    """Rank: argmax + 1; with closable the index itself."""
    return int(torch.argmax(g)) + (not closable)


def survival(g, floor, closable):
    """P(size > j) = Σ_{k≥j} π_k (closable: Σ_{k>j} π_k) with π = softmax(g); the first `floor` are the constant 1."""
    tail = F.softmax(g, 0).flip(0).cumsum(0).flip(0)[1 if closable else 0 :]
    return torch.cat([torch.ones_like(tail[:floor]), tail[floor:]])


class Mask(torch.autograd.Function):
    """Hard prefix mask of a GSV: `values` in the forward pass; in the backward pass ∂L/∂mask becomes ∂L/∂g by the estimator.

    `last` is k*, the last open index; `floor` the sizes that are always open; `closed` what a closed entry's gradient is worth (paper)."""

    @staticmethod
    def forward(ctx, g, values, estimator, last, floor, closable, closed):
        ctx.save_for_backward(g)
        ctx.rest = (estimator, last, floor, closable, closed)
        return values.clone()

    @staticmethod
    def backward(ctx, d):
        (g,), (estimator, last, floor, closable, closed) = ctx.saved_tensors, ctx.rest
        none = (None,) * 6
        if estimator == "paper":
            s = torch.sigmoid(g)
            slope = closed * d
            slope[last] = (d[: last + 1] * s[: last + 1]).sum()
            return slope * s * (1 - s), *none
        p, soft = F.softmax(g, 0), survival(g, floor, closable)
        k, j = torch.arange(len(p))[:, None], torch.arange(len(soft))[None, :]
        reached = (k > j if closable else k >= j).to(p.dtype)  # ∂soft_j/∂g_k = π_k ([size of k > j] − soft_j)
        return (p[:, None] * (reached - soft) * d)[:, floor:].sum(1), *none


def expert_mask(g, s):
    """Mask of the experts and their number. paper: +0.5 and −1e4 for the logits; survival: 1 and 0."""
    n = open_experts(g, s["topK"], s["closable"])
    experts = torch.arange(len(g) - s["closable"]) < n
    one, zero = (0.5, -1e4) if s["estimator"] == "paper" else (1.0, 0.0)
    values = torch.where(experts, one, zero).to(g.dtype)
    return Mask.apply(g, values, s["estimator"], n - 1, 0 if s["closable"] else s["topK"], s["closable"], 0.0), n


def rank_mask(g, s, closable=False):
    """Mask of the rows of A: 1 for open ones, 1e-4 (paper) or 0 (survival) for closed ones. Only a site of plain LoRA is closable by rank."""
    n = open_rows(g, closable)
    closed = 1e-4 if s["estimator"] == "paper" else 0.0
    values = torch.where(torch.arange(len(g) - closable) < n, 1.0, closed).to(g.dtype)
    return Mask.apply(g, values, s["estimator"], n - 1, 0, closable, closed)


# The gate and the adapted linear.


def gate(z, member, top_k, note=None):
    """(weights (N, E), kept (N, E)) among the experts `member` (E, bool): the min(K, |S|) largest logits, softmax over them.

    `note` is told the gap at the edge of the kept set, (N)."""
    keep = min(top_k, int(member.sum()))
    if keep == 0:
        return z * 0, torch.zeros_like(z)
    inside = z.masked_fill(~member, -math.inf)
    kept = torch.zeros_like(z).scatter(1, lora_moe.top_k_lowest_first(inside.detach(), keep), 1.0)
    if note and member.sum() > keep:
        order = inside.detach().sort(1, descending=True).values
        note(order[:, keep - 1] - order[:, keep])
    return F.softmax(z.masked_fill(kept == 0, -math.inf), 1), kept


def counterfactuals(z, n, top_k, floor, note=None):
    """Δ (N, E, E): Δ[:, j] = gate(S ∪ {j}) − gate(S \\ {j}), both from scratch, S the first n experts; 0 below `floor`."""
    rows, member = [], torch.arange(z.shape[1]) < n
    for j in range(z.shape[1]):
        one = torch.arange(z.shape[1]) == j
        rows.append(z * 0 if j < floor else gate(z, member | one, top_k, note)[0] - gate(z, member & ~one, top_k, note)[0])
    return torch.stack(rows, 1)


class SearchLinear(nn.Module):
    """y = x W0ᵀ (+ b) + Σ_i w_i s · ((x A_iᵀ) ⊙ e_i ⊙ mask_i) B_iᵀ, s = α / R_max."""

    def __init__(self, base, site, search):
        super().__init__()
        self.base, self.key, self.search = base, PREFIX + site, search

    def forward(self, x3):
        search, s, w_of = self.search, self.search.settings, self.search.lower
        y = self.base(x3)
        x = x3.reshape(-1, x3.shape[-1])
        z = x @ w_of[f"{self.key}.router.weight"].T
        mask, n = search.masks[f"{self.key}.gsv_expert"]
        count, member = z.shape[1], torch.arange(z.shape[1]) < n
        if s["estimator"] == "paper":
            p = F.softmax(z + mask, 1)
            _, kept = gate(z, member, s["topK"], search.note)
            w = p * kept / (p * kept).sum(1, keepdim=True)
        else:
            w, kept = gate(z, member, s["topK"], search.note)
            # Adds exactly 0, to the router's gradient too; ∂/∂mask_j is Σ_i ∂L/∂w_i Δ_{j,i}.
            delta = counterfactuals(z, n, s["topK"], 0 if s["closable"] else s["topK"], search.note)
            w = w + torch.einsum("j,nji->ni", mask - mask.detach(), delta)
        out = []
        for i in range(count):
            e = f"{self.key}.experts.{i}"
            rows = w_of[f"{e}.rank_scale"] * search.masks[f"{e}.gsv_rank"]
            out.append(s["alpha"] / s["rank"] * ((x @ w_of[f"{e}.lora_A.weight"].T) * rows) @ w_of[f"{e}.lora_B.weight"].T)
        mixed = torch.einsum("ni,nio->no", w, torch.stack(out, 1))
        search.batch.balance.append(self.balance(z, kept, member, min(s["topK"], n)))
        return y + mixed.reshape(y.shape)

    def balance(self, z, kept, member, keep):
        """n·Σ_e f_e P_e over the open experts; 0 for a closed site."""
        if keep == 0:
            return z.sum() * 0
        real = self.search.batch.real
        p = F.softmax(z.masked_fill(~member, -math.inf), 1)
        f = kept[real].sum(0) / (keep * real.sum())
        return member.sum() * (f * p[real].mean(0)).sum()


class Search:
    """The model with every site under search. `w` and `a` are the trainable tensors, by key."""

    site_gsv, linear = ".gsv_expert", SearchLinear  # the GSV that a site has one of; what takes the place of its linear

    def __init__(self, model_dir, init_file, run, dtype=torch.float64):
        self.run, self.dtype = run, dtype
        self.settings = {**run["adapter"], **{k: run["search"][k] for k in ("estimator", "closable")}}
        assert run["adapter"]["dropout"] == 0 and run["search"]["sizes"] == "argmax" and run["search"]["split"] == "disjoint"
        assert run["search"]["lowerOnlySteps"] == 0 and not run["data"]["shuffle"]
        tensors = lora_moe.load_adapter(init_file, dtype)
        self.w = {k: p for k, p in tensors.items() if not is_gsv(k)}
        self.a = {k: p for k, p in tensors.items() if is_gsv(k)}
        self.model, self.batch = lora_moe.load_model(model_dir, dtype), lora_moe.Batch()
        self.sites, self.parameters = [k[len(PREFIX) : -len(self.site_gsv)] for k in self.a if k.endswith(self.site_gsv)], {}
        for site in self.sites:
            base = self.model.get_submodule(site)
            self.parameters[site] = (base.in_features, base.out_features)
            lora_moe.replace(self.model, site, self.linear(base, site, self))
        self.margin = math.inf  # smallest gap between a kept and an unkept logit of a real token, over all passes

    def note(self, gaps):
        self.margin = min(self.margin, gaps[self.batch.real].min().item())

    def make_masks(self):
        """Masks of all GSVs, by key; those of experts come with the number of open ones."""
        return {k: (expert_mask if k.endswith(".gsv_expert") else rank_mask)(g, self.settings) for k, g in self.a.items()}

    def losses(self, rows, w=None, masks=None):
        """(CE summed over the loss-carrying tokens of `rows`, Σ over sites of L_bal) of one micro-batch."""
        self.lower, self.masks = w or self.w, masks or self.make_masks()
        with sdpa_kernel(SDPBackend.MATH):
            return micro_batch(self.model, self.batch, rows)

    def loss(self, rows, w=None, masks=None):
        """L(b; w, a): CE as the mean over the micro-batch's own loss-carrying tokens, plus the balance term. (L, CE)."""
        ce, balance = self.losses(rows, w, masks)
        ce = ce / loss_tokens(rows)
        return ce + self.run["adapter"]["balance"] * balance, ce

    def lower_gradient(self, rows, w=None, **options):
        """(L, ∇_w L(b; w, a)) by key."""
        w = w or self.w
        loss, _ = self.loss(rows, w)
        return loss, by_key(w, torch.autograd.grad(loss, list(w.values()), **options))

    def upper_gradient(self, rows, w=None):
        """(L(b; w, a), ∇_a L(b; w, a)) by key: of CE alone, since no GSV gets gradient from the balance term of any site."""
        loss, ce = self.loss(rows, w)
        return loss.item(), by_key(self.a, torch.autograd.grad(ce, list(self.a.values())))

    def moved(self, gradient, factor):
        """w + factor · gradient, as new tensors."""
        return {k: (p.detach() + factor * gradient[k]).requires_grad_() for k, p in self.w.items()}

    def correction(self, b1, v, xi, factor=0.01):
        """−ξ · [∇_a L(b1; w + εv, a) − ∇_a L(b1; w − εv, a)] / (2ε), ε = factor / ‖v‖."""
        size = torch.cat([g.flatten() for g in v.values()]).norm()
        epsilon = factor / size if size > 0 else factor
        plus, minus = (self.upper_gradient(b1, self.moved(v, e))[1] for e in (epsilon, -epsilon))
        return {k: -xi * (plus[k] - minus[k]) / (2 * epsilon) for k in self.a}

    def hypergradient(self, b1, b2, xi):
        """(upper loss, G without cost, correction or None). The loss is that of the pass that gives ∇_a L(b2): at w' in second order."""
        if self.run["search"]["order"] == "first-order":
            return *self.upper_gradient(b2), None
        w1 = self.moved(self.lower_gradient(b1)[1], -xi)
        v = self.lower_gradient(b2, w1)[1]
        loss, direct = self.upper_gradient(b2, w1)
        correction = self.correction(b1, v, xi)
        return loss, {k: direct[k] + correction[k] for k in self.a}, correction

    def parameter_share(self):
        """E[params] / params(E_max, R_max), differentiable in the GSVs."""
        closable, expected, most = self.settings["closable"], 0.0, 0
        for site, (c, o) in self.parameters.items():
            g = self.a[f"{PREFIX}{site}.gsv_expert"]
            experts = survival(g, 0 if closable else self.settings["topK"], closable)
            for i, alive in enumerate(experts):
                rows = survival(self.a[f"{PREFIX}{site}.experts.{i}.gsv_rank"], 0, False)
                expected = expected + alive * (rows.sum() * (c + o) + c)
                most += len(rows) * (c + o) + c
        return expected / most

    def cost_gradient(self, rate):
        """λ · ∇_a E[params] / params(E_max, R_max)."""
        gradient = torch.autograd.grad(self.parameter_share(), list(self.a.values()), allow_unused=True, materialize_grads=True)
        return {k: rate * g for k, g in by_key(self.a, gradient).items()}

    def allocation(self):
        """Experts by site and ranks by expert, by argmax; a closed site has 0 experts."""
        experts, ranks = {}, {}
        for site in self.sites:
            experts[site] = open_experts(self.a[f"{PREFIX}{site}.gsv_expert"], self.settings["topK"], self.settings["closable"])
            for i in range(experts[site]):
                ranks[f"{site}.experts.{i}"] = open_rows(self.a[f"{PREFIX}{site}.experts.{i}.gsv_rank"])
        return {"experts": experts, "ranks": ranks}

    def values(self):
        return {k: g.detach().clone() for k, g in self.a.items()}


def by_key(like, values):
    return dict(zip(like.keys(), values))


def cost_rate(search):
    """λ at the start: the dual variable of a budget starts at 0.1."""
    return search["cost"] if search["budget"] is None else 0.1


def load_run(file):
    """run.json with the defaults filled in; `train` is not looked at."""
    given = json.loads(Path(file).read_text())
    filled = {k: {**lora_moe.DEFAULTS[k], **given.get(k, {})} for k in ("data", "adapter")}
    if filled["adapter"]["method"] == "lora":
        filled["adapter"]["balance"] = 0
    return {**filled, "search": {**DEFAULTS, **given["search"]}}


def split(rows):
    """D1 (lower) and D2 (upper): the first half of the rows, the larger one if odd, and the rest."""
    half = (len(rows) + 1) // 2
    return rows[:half], rows[half:]


def search_run(search, data_file):
    """A whole search from its start. Returns (upper log, lower log, GSVs after every step with those of the start first)."""
    run, t = search.run, search.run["search"]
    d1, d2 = split(lora_moe.load_rows(data_file, run["data"]["maxLength"]))
    size, accumulate = t["microBatch"], t["batch"] // t["microBatch"]
    taken = lambda rows, pair: [rows[(pair * size + i) % len(rows)] for i in range(size)]
    schedule = {**t, "steps": t["steps"] // accumulate}
    lower = torch.optim.AdamW(search.w.values(), lr=0.0, weight_decay=t["weightDecay"])
    upper = torch.optim.AdamW(search.a.values(), lr=t["upperLearningRate"], betas=(0.5, 0.999), eps=1e-8, weight_decay=0)
    rate, coefficient = cost_rate(t), run["adapter"]["balance"]
    upper_log, lower_log, history = [], [], [search.values()]
    for pair in range(t["steps"]):
        update, micro = divmod(pair, accumulate)
        b1, b2, lr = taken(d1, pair), taken(d2, pair), learning_rate(update, schedule)
        before = {k: p.detach().clone() for k, p in search.w.items()}
        loss, gradient, _ = search.hypergradient(b1, b2, lr)
        cost = search.cost_gradient(rate)
        for k, g in search.a.items():
            g.grad = gradient[k] + cost[k]
        upper.step()
        assert all(torch.equal(before[k], p) for k, p in search.w.items())
        upper_log.append({"step": pair + 1, "upper_loss": loss, "lambda": rate, "share": search.parameter_share().item()})
        if t["budget"] is not None:
            rate = max(0.0, rate + 0.05 * (search.parameter_share().item() - t["budget"]))
        history.append(search.values())

        if micro == 0:
            rows = [row for i in range(accumulate) for row in taken(d1, pair + i)]
            for p in search.w.values():
                p.grad = torch.zeros_like(p)
            ce_mean = balance_mean = 0.0
        ce, balance = search.losses(b1)
        ce, balance = ce / loss_tokens(rows), balance / accumulate
        (ce + coefficient * balance).backward(inputs=list(search.w.values()))
        ce_mean, balance_mean = ce_mean + ce.item(), balance_mean + balance.item()
        if micro == accumulate - 1:
            norm = nn.utils.clip_grad_norm_(search.w.values(), t["clipNorm"]).item()
            lower.param_groups[0]["lr"] = lr
            lower.step()
            lower_log.append({"step": update + 1, "loss": ce_mean + coefficient * balance_mean, "ce": ce_mean, "balance": balance_mean, "lr": lr,
                              "grad_norm": norm, "tokens": sum(len(ids) for ids, _ in rows), "loss_tokens": loss_tokens(rows)})
    return upper_log, lower_log, history


def gradients(search, data_file):
    """(upper loss, G by key with its cost, correction by key or None): b1 the first half of the rows, b2 the second, ξ the learning rate."""
    t = search.run["search"]
    b1, b2 = split(lora_moe.load_rows(data_file, search.run["data"]["maxLength"]))
    loss, gradient, correction = search.hypergradient(b1, b2, t["learningRate"])
    cost = search.cost_gradient(cost_rate(t))
    return loss, {k: g + cost[k] for k, g in gradient.items()}, correction
