"""What search.py is held against before it writes a golden: worked examples, finite differences, exact second derivatives."""

import torch

import lora_moe
from search import Mask, counterfactuals, expert_mask, gate, open_rows, rank_mask, survival


def near(got, want, limit=1e-7):
    want = torch.as_tensor(want, dtype=torch.float64)
    assert (got.detach() - want).abs().max() <= limit, (got, want)


def check_worked_examples():
    """Worked examples A, B and F of docs/method.md."""
    t = lambda v: torch.tensor(v, dtype=torch.float64, requires_grad=True)
    z, outputs = torch.tensor([[1.0, 0, 2, -1]]).double(), torch.tensor([1.0, 3, 2, 5]).double()
    settings = {"topK": 2, "closable": False, "estimator": "paper"}

    g = t([0.1, 0.2, 0.4, 0.3])
    mask, n = expert_mask(g, settings)
    p = torch.softmax(z + mask, 1)
    kept = gate(z, torch.arange(4) < n, 2)[1]
    y = (p * kept / (p * kept).sum() * outputs).sum()
    mask.retain_grad()
    loss = (y - 1) ** 2 / 2
    loss.backward()
    near(loss, 0.2672233)
    near(mask.grad, [-0.1437348, 0, 0.1437348, 0])
    near(g.grad, [0, 0, 0.0025454, 0])
    torch.optim.AdamW([g], lr=3e-3, betas=(0.5, 0.999), weight_decay=0).step()
    near(g, [0.1, 0.2, 0.397, 0.3], 1e-7)

    g = t([0.2, 0.5, 0.1])
    y = (2 * rank_mask(g, settings) * torch.tensor([0.5, -1, 2]) * torch.tensor([1, 0.5, -1])).sum()
    near(y, -0.0004, 1e-9)
    y.backward()
    near(g.grad, [2.4751657e-5, -1.7067223e-2, -9.9750416e-5], 1e-9)
    torch.optim.AdamW([g], lr=3e-3, betas=(0.5, 0.999), weight_decay=0).step()
    near(g, [0.1970012, 0.5030000, 0.1029997])

    settings["estimator"] = "survival"
    for start, y_want, dm, want in (
        ([0.1, 0.2, 0.4, 0.3], 1.7310586, 0.1412228, [-0.0166043, -0.0183506, 0.0183506, 0.0166043]),
        ([0.1, 0.4, 0.2, 0.3], 1.5378828, 0.1039059, [-0.0110542, -0.0149216, 0.0123391, 0.0136368]),
    ):
        g = t(start)
        mask, n = expert_mask(g, settings)
        delta = counterfactuals(z, n, 2, 2)
        near(delta[0, 2], [-0.4621172, -0.2689414, 0.7310586, 0])
        w = gate(z, torch.arange(4) < n, 2)[0] + torch.einsum("j,nji->ni", mask - mask.detach(), delta)
        y = (w * outputs).sum()
        mask.retain_grad()
        ((y - 1) ** 2 / 2).backward()
        near(y, y_want)
        near(mask.grad[2], dm)
        near(g.grad, want)


def check_ranks():
    """Ranks of a site of plain LoRA: mask, soft values by hand (e^0.9 and so on), and the backward against autograd's of Σ_j d_j soft_j."""
    settings, d = {"estimator": "survival"}, torch.tensor([0.7, -2.0]).double()
    for closable, start, open_, soft in ((False, [0.4, 0.9], [1, 1], [1, 0.6224593]), (True, [0.4, 0.9, 0.2], [1, 0], [0.7116038, 0.2361188]),
                                         (True, [0.9, 0.4, 0.2], [0, 0], [0.5245150, 0.2361188])):
        g = torch.tensor(start, dtype=torch.float64, requires_grad=True)
        mask, chances = rank_mask(g, settings, closable), survival(g, 0, closable)
        near(mask, open_)
        near(chances, soft)
        near(*(torch.autograd.grad((d * v).sum(), g)[0] for v in (mask, chances)), 1e-15)


def check_lower_gradients(search, rows):
    """∇_w L along a random direction of every tensor, against central differences."""
    _, gradient = search.lower_gradient(rows)
    g, worst = torch.Generator().manual_seed(9), 0.0
    for key, value in search.w.items():
        direction = torch.randn(value.shape, generator=g, dtype=torch.float64)
        direction /= direction.norm()
        with torch.no_grad():
            at = [search.loss(rows, {**search.w, key: value + s * 1e-5 * direction})[0].item() for s in (1, -1)]
        worst = max(worst, abs((at[0] - at[1]) / 2e-5 - (gradient[key] * direction).sum().item()))
    assert worst < 1e-8, worst
    return worst


def check_counterfactual_is_silent(search, rows):
    """Lower gradients are those of the forward pass alone: the same with the masks cut off from the GSVs, bit for bit."""
    loose = {k: (m[0].detach(), m[1]) if isinstance(m, tuple) else m.detach() for k, m in search.make_masks().items()}
    keys = list(search.w.values())
    first, second = (torch.autograd.grad(search.loss(rows, None, m)[0], keys) for m in (None, loose))
    assert all(torch.equal(a, b) for a, b in zip(first, second))


def check_true_ranks(search, rows, model_dir):
    """Rank search: the masked rows, scaled by e, compute what plain LoRA of the open rows alone does, at the same s."""
    adapter = {}
    for site in search.sites:
        key = lora_moe.PREFIX + site
        rank = open_rows(search.a[f"{key}.gsv_rank"], search.settings["closable"])
        if rank:
            e, a, b = (search.w[f"{key}.{name}"] for name in ("rank_scale", "lora_A.weight", "lora_B.weight"))
            adapter |= {f"{key}.lora_A.weight": (e[:, None] * a)[:rank], f"{key}.lora_B.weight": b[:, :rank]}
    model = lora_moe.load_model(model_dir, search.dtype)
    want, _ = lora_moe.micro_batch(model, lora_moe.attach(model, adapter, search.settings), rows)
    near(search.losses(rows)[0], want.detach(), 1e-12 * want.item())


def check_upper_gradients(search, rows):
    """Rank search: ∇_a CE against central differences of the masks' soft values, added to the masks as they stand."""
    hard, closable = search.make_masks(), search.settings["closable"]
    _, gradient = search.upper_gradient(rows)
    worst = 0.0
    for key, g in search.a.items():
        for k in range(len(g)):
            at = []
            with torch.no_grad():
                for step in (1e-5, -1e-5):
                    there = g + step * (torch.arange(len(g)) == k)
                    moved = hard[key] + survival(there, 0, closable) - survival(g, 0, closable)
                    at.append(search.loss(rows, None, {**hard, key: moved})[1].item())
            worst = max(worst, abs((at[0] - at[1]) / 2e-5 - gradient[key][k].item()))
    assert worst < 1e-8, worst
    return worst


def exact_correction(search, b1, b2, xi):
    """∂/∂a of L(b2; w − ξ ∇_w L(b1; w, a), const) with the masks as free variables: second derivatives by autograd, no differences."""
    free, links = {}, {}
    for k, m in search.make_masks().items():
        links[k] = m[0] if isinstance(m, tuple) else m
        leaf = links[k].detach().clone().requires_grad_()
        free[k] = (leaf, m[1]) if isinstance(m, tuple) else leaf
    leaves = {k: m[0] if isinstance(m, tuple) else m for k, m in free.items()}
    keys, coefficient = list(search.w.values()), search.run["adapter"]["balance"]
    balanced = [0] * len(keys)  # the masks are constants in the balance term
    if coefficient:
        balanced = torch.autograd.grad(search.losses(b1)[1], keys, materialize_grads=True)
    through = torch.autograd.grad(search.loss(b1, None, free)[1], keys, create_graph=True)
    w1 = {k: p.detach() - xi * (d + coefficient * b) for (k, p), d, b in zip(search.w.items(), through, balanced)}
    slopes = torch.autograd.grad(search.loss(b2, w1)[0], list(leaves.values()))
    return {k: torch.autograd.grad(links[k], search.a[k], d)[0] for k, d in zip(leaves, slopes)}


def relative(got, want):
    difference = torch.cat([(got[k].double() - want[k]).flatten() for k in want]).norm()
    return (difference / torch.cat([v.flatten() for v in want.values()]).norm()).item()
