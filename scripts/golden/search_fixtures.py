"""The fixtures of the search: search-*/ beside train-moe, whose base model they use. See README.md."""

import shutil

import torch
from safetensors.torch import save_file

import lora_moe
import search
import search_checks
from fixtures import f32, write_json, write_rows
from rank_search import RankSearch

TARGETS = ["q_proj", "v_proj", "down_proj"]
EXPERTS, RANKS = 4, 3
LORA_RANK = 6
DATA = {"maxLength": 24, "shuffle": False, "validation": 0}
COMMON = {"sizes": "argmax", "split": "disjoint", "steps": 10, "batch": 4, "microBatch": 2, "learningRate": 1e-2, "lowerOnlySteps": 0,
          "weightDecay": 0.01, "clipNorm": 0.5, "cost": 0, "budget": None, "closable": False}
VARIANTS = {
    "search-paper-first": dict(estimator="paper", order="first-order", schedule="linear", warmupSteps=1, upperLearningRate=3e-3),
    "search-paper-second": dict(estimator="paper", order="second-order", schedule="constant", warmupSteps=0, upperLearningRate=0.03, learningRate=2e-2),
    "search-survival-first": dict(estimator="survival", order="first-order", schedule="cosine", warmupSteps=0, upperLearningRate=0.05),
    "search-survival-second": dict(estimator="survival", order="second-order", schedule="linear", warmupSteps=0, upperLearningRate=0.03, learningRate=2e-2),
    "search-budget": dict(estimator="survival", order="first-order", schedule="linear", warmupSteps=0, upperLearningRate=0.05, budget=0.3, closable=True),
}
LORA_VARIANTS = {
    "search-rank-first": dict(order="first-order", schedule="cosine", warmupSteps=1),
    "search-rank-second": dict(order="second-order", schedule="constant", warmupSteps=0),
    "search-rank-budget-first": dict(order="first-order", schedule="cosine", warmupSteps=0, budget=0.4),
    "search-rank-budget-second": dict(order="second-order", schedule="linear", warmupSteps=0, budget=0.4),
    "search-rank-closable-first": dict(order="first-order", schedule="constant", warmupSteps=0, closable=True),
    "search-rank-closable-second": dict(order="second-order", schedule="linear", warmupSteps=0, closable=True),
    "search-rank-closable-budget-first": dict(order="first-order", schedule="linear", warmupSteps=1, budget=0.4, closable=True),
    "search-rank-closable-budget-second": dict(order="second-order", schedule="cosine", warmupSteps=0, budget=0.4, closable=True),
}
XI = 0.1
# What float32 may be away from float64, so that a fixture's answers are no accident of rounding or of a tie.
LIMITS = {"G": 3e-5, "correction": 1e-3, "GSVs": 2e-5, "losses": 1e-4, "final": 1e-3}


def write_init(file, model_dir, closable, seed, targets, method="lora-moe"):
    """Random lower tensors, none left at 0 or 1, and GSVs wide enough that `paper` is well conditioned."""
    model, g, tensors = lora_moe.load_model(model_dir), torch.Generator().manual_seed(seed), {}
    for site, linear in model.named_modules():
        if site.rpartition(".")[2] not in targets:
            continue
        (outputs, inputs), key = linear.weight.shape, lora_moe.PREFIX + site
        draw = lambda *shape: torch.randn(shape, generator=g)

        def add_pair(key, rank, entries):
            tensors[f"{key}.lora_A.weight"] = draw(rank, inputs) / inputs**0.5
            tensors[f"{key}.lora_B.weight"] = 0.1 * draw(outputs, rank)
            tensors[f"{key}.rank_scale"] = 1 + 0.2 * draw(rank)
            tensors[f"{key}.gsv_rank"] = 0.5 * draw(entries)

        if method == "lora":
            add_pair(key, LORA_RANK, LORA_RANK + closable)
            continue
        tensors[f"{key}.router.weight"] = draw(EXPERTS, inputs)
        tensors[f"{key}.gsv_expert"] = 0.5 * draw(EXPERTS + closable)
        for i in range(EXPERTS):
            add_pair(f"{key}.experts.{i}", RANKS, RANKS)
    save_file(tensors, file, metadata={"format": "pt"})


def write_run(file, name, **changes):
    if name in LORA_VARIANTS:
        variant = {"estimator": "survival", "upperLearningRate": 0.05, "learningRate": 5e-2, **LORA_VARIANTS[name]}
        adapter = {"method": "lora", "targets": TARGETS, "rank": LORA_RANK, "alpha": 3, "dropout": 0}
    else:
        variant = VARIANTS[name]
        targets = TARGETS[1:] if variant.get("closable") else TARGETS
        adapter = {"method": "lora-moe", "targets": targets, "rank": RANKS, "experts": EXPERTS, "topK": 2, "alpha": 3, "dropout": 0,
                   "scale": "constant", "balance": 0.01}
    write_json(file, {"seed": 1, "data": DATA, "adapter": adapter, "allocation": "search", "search": {**COMMON, **variant, **changes}, "train": False})
    return search.load_run(file)


def smallest_gap(s, history):
    """Between kept and unkept logits, and between the two largest entries of a GSV: rounding has to stay below it."""
    return min(s.margin, *(-g.topk(2).values.diff().item() for h in history for g in h.values()))


def start(files, run, dtype=torch.float64):
    kind = RankSearch if run["adapter"]["method"] == "lora" else search.Search
    return kind(files[0], files[1], run, dtype)


def check(name, files, run, correction):
    """The checks that need the model. Returns what there is to say."""
    s = start(files, run)
    b1, b2 = search.split(lora_moe.load_rows(files[2], run["data"]["maxLength"]))
    worst = search_checks.check_lower_gradients(s, b1)
    search_checks.check_counterfactual_is_silent(s, b1)
    said = f"lower gradients against differences {worst:.0e}"
    if isinstance(s, RankSearch):
        search_checks.check_true_ranks(s, b1, files[0])
        said += f", upper ones {search_checks.check_upper_gradients(s, b1):.0e}"
    if correction:
        exact = search_checks.exact_correction(s, b1, b2, XI)
        error = search_checks.relative(correction, exact)
        assert error < 2e-3, f"{name}: correction is {error} from exact"
        said += f", correction against exact second derivatives {error:.0e}"
    return said


def make_variant(out, name):
    folder, common, model_dir = out / name, out / "search-common", out / "train-moe"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    run, at_xi = write_run(folder / "run.json", name), write_run(folder / "gradients.run.json", name, learningRate=XI)
    init = f"init{'-rank' * (name in LORA_VARIANTS)}{'-closable' * run['search']['closable']}.safetensors"
    files = (model_dir, common / init, common / "data.jsonl")

    s = start(files, at_xi)
    upper_loss, gradient, correction = search.gradients(s, files[2])
    save_file({"upper_loss": torch.tensor(upper_loss), **f32(gradient)}, folder / "gradients.safetensors")
    print(f"{name}: {check(name, files, at_xi, correction)}")
    single = search.gradients(start(files, at_xi, torch.float32), files[2])
    errors = {"G": max(search_checks.relative({k: single[1][k]}, {k: g}) for k, g in gradient.items() if g.norm() > 0)}
    if correction:
        save_file(f32(correction), folder / "correction.safetensors")
        errors["correction"] = search_checks.relative(single[2], correction)
        norm = lambda t: torch.cat([g.flatten() for g in t.values()]).norm()
        print(f"  correction is {norm(correction) / norm(gradient):.1%} of G; smallest gap {smallest_gap(s, [s.values()]):.0e}")

    s, s32 = start(files, run), start(files, run, torch.float32)
    upper, lower, history = search.search_run(s, files[2])
    chosen = s.allocation()
    write_json(folder / "run.golden.json", {"upper": upper, "lower": lower, **chosen})
    save_file(f32({k: torch.stack([h[k] for h in history]) for k in history[0]}), folder / "gsv.safetensors")
    save_file({k: p.detach().half().contiguous() for k, p in s.w.items()}, folder / "final.safetensors")
    upper32, lower32, history32 = search.search_run(s32, files[2])
    errors["GSVs"] = max((a[k].double() - b[k]).abs().max().item() for a, b in zip(history32, history) for k in b)
    errors["losses"] = max(abs(a[f] - b[f]) for f, x, y in (("upper_loss", upper32, upper), ("loss", lower32, lower)) for a, b in zip(x, y))
    errors["final"] = max(search_checks.relative({k: s32.w[k].detach()}, {k: p.detach()}) for k, p in s.w.items())
    assert all(errors[k] <= limit for k, limit in LIMITS.items() if k in errors), errors
    if correction:
        plain = search.search_run(start(files, {**run, "search": {**run["search"], "order": "first-order"}}), files[2])[2]
        apart = max((a[k] - b[k]).abs().max().item() for a, b in zip(plain, history) for k in b)
        assert apart > 1e-3, f"{name}: first order would be only {apart} away"
        print(f"  first order would be {apart:.0e} away")
    moved = sum(int(a.argmax() != b.argmax()) for h, n in zip(history, history[1:]) for a, b in zip(h.values(), n.values()))
    gap, (kind, sizes) = smallest_gap(s, history), next(iter(chosen.items()))
    assert gap > 5e-4, f"{name}: a size hangs on {gap}"
    print(f"  float32 against float64: {', '.join(f'{k} {v:.1e}' for k, v in errors.items())}; smallest gap {gap:.0e}")
    norms = [l["grad_norm"] for l in lower]
    print(f"  loss {lower[0]['loss']:.4f} → {lower[-1]['loss']:.4f}, norms {min(norms):.2f}–{max(norms):.2f}, {moved} argmaxes moved, {kind} {list(sizes.values())}")


def make(out):
    search_checks.check_worked_examples()
    search_checks.check_ranks()
    common = out / "search-common"
    shutil.rmtree(common, ignore_errors=True)
    common.mkdir()
    write_init(common / "init.safetensors", out / "train-moe", False, 48, TARGETS)
    write_init(common / "init-closable.safetensors", out / "train-moe", True, 5, TARGETS[1:])
    write_rows(common / "data.jsonl", 97, 3, [7, 14, 6, 11, 8, 12, 5, 9, 13])
    write_init(common / "init-rank.safetensors", out / "train-moe", False, 4, TARGETS, "lora")
    write_init(common / "init-rank-closable.safetensors", out / "train-moe", True, 13, TARGETS, "lora")
    for name in (*VARIANTS, *LORA_VARIANTS):
        make_variant(out, name)
