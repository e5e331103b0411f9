"""What search.py is held against before it writes a golden: worked examples, finite differences, exact second derivatives."""

import torch

from search import Mask, counterfactuals, expert_mask, gate, rank_mask


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


def exact_correction(search, b1, b2, xi):
    """∂/∂a of L(b2; w − ξ ∇_w L(b1; w, a), const) with the masks as free variables: second derivatives by autograd, no differences."""
    free, links = {}, {}
    for k, m in search.make_masks().items():
        links[k] = m[0] if isinstance(m, tuple) else m
        leaf = links[k].detach().clone().requires_grad_()
        free[k] = (leaf, m[1]) if isinstance(m, tuple) else leaf
    leaves = {k: m[0] if isinstance(m, tuple) else m for k, m in free.items()}
    keys = list(search.w.values())
    balanced = torch.autograd.grad(search.losses(b1)[1], keys, materialize_grads=True)  # the masks are constants in it
    through = torch.autograd.grad(search.loss(b1, None, free)[1], keys, create_graph=True)
    coefficient = search.run["adapter"]["balance"]
    w1 = {k: p.detach() - xi * (d + coefficient * b) for (k, p), d, b in zip(search.w.items(), through, balanced)}
    slopes = torch.autograd.grad(search.loss(b2, w1)[0], list(leaves.values()))
    return {k: torch.autograd.grad(links[k], search.a[k], d)[0] for k, d in zip(leaves, slopes)}


def relative(got, want):
    difference = torch.cat([(got[k].double() - want[k]).flatten() for k in want]).norm()
    return (difference / torch.cat([v.flatten() for v in want.values()]).norm()).item()
