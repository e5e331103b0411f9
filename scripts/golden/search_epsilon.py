"""How far the second-order correction is from exact second derivatives, by ε, at fresh starts of a search on train-moe's base model.

Figures for docs/guilomo.md, known limits. Writes nothing but its table; a minute or two."""

import statistics
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

import lora_moe
import search
import search_checks
import search_fixtures
from fixtures import write_rows

GOLDEN = Path(__file__).resolve().parents[2] / "src/testing/golden"
STARTS, XI, FACTORS = 8, 5e-3, (1e-2, 1e-3, 1e-4)


def write_start(file, seed):
    """The method's own start of a search, with sizes by argmax."""
    search_fixtures.write_init(file, GOLDEN / "train-moe", False, seed, search_fixtures.TARGETS)
    tensors, g = load_file(file), torch.Generator().manual_seed(seed)
    for key, old in tensors.items():
        normal = torch.randn(old.shape, generator=g)
        if search.is_gsv(key):
            tensors[key] = normal.softmax(0)
        elif key.endswith("router.weight"):
            tensors[key] = (2 * torch.rand(old.shape, generator=g) - 1) / old.shape[1] ** 0.5
        elif key.endswith("rank_scale"):
            tensors[key] = torch.ones_like(old)
        else:
            tensors[key] = 0.02 * normal
    save_file(tensors, file)


def length(gradient):
    return torch.cat([g.flatten() for g in gradient.values()]).norm().item()


def measure(estimator, folder):
    run = search.load_run(GOLDEN / f"search-{estimator}-second/gradients.run.json")
    b1, b2 = search.split(lora_moe.load_rows(folder / "rows.jsonl", run["data"]["maxLength"]))
    errors, shares = {factor: [] for factor in FACTORS}, []
    for seed in range(1, STARTS + 1):
        write_start(folder / "start.safetensors", seed)
        s = search.Search(GOLDEN / "train-moe", folder / "start.safetensors", run)
        w1 = s.moved(s.lower_gradient(b1)[1], -XI)
        v = s.lower_gradient(b2, w1)[1]
        exact = search_checks.exact_correction(s, b1, b2, XI)
        shares.append(length(exact) / length(s.upper_gradient(b2, w1)[1]))
        for factor in FACTORS:
            errors[factor].append(search_checks.relative(s.correction(b1, v, XI, factor), exact))
    print(f"{estimator}: {STARTS} starts, {sum(len(ids) for ids, _ in b1)} tokens in b1, ξ = {XI}; the exact correction is {statistics.median(shares):.2%} of ∇_a L(b2; w′) (median)")
    for factor, e in errors.items():
        off = sum(x > 0.01 for x in e)
        print(f"  ε = {factor}/‖v‖: off by {statistics.median(e):.1e} (median), {max(e):.1e} (worst); by more than 1 % at {off}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        write_rows(Path(name) / "rows.jsonl", 97, 3, [7, 14, 6, 11, 8, 12, 5, 9, 13, 10] * 8)
        for estimator in ("survival", "paper"):
            measure(estimator, Path(name))
