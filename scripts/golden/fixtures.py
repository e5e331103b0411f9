"""The training fixtures: a tiny base model, an adapter, a dataset, and what PyTorch makes of them in float64."""

import json
import random
import shutil
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, Qwen2Config

import lora_moe
from models import COMMON, build, load_f32, rope, save_checkpoint

TRAIN = {"steps": 20, "batch": 4, "microBatch": 2, "learningRate": 3e-3, "schedule": "linear", "warmupSteps": 3, "weightDecay": 0.01, "clipNorm": 0.3}
DATA = {"maxLength": 24, "shuffle": False, "validation": 0}
LENGTHS = [24, 9, 17, 12, 21, 6, 15, 19]  # rows of unequal lengths; two batches of four
# Experts of every site: 0 is the plain linear, 1 is fewer than K.
EXPERTS = {
    "model.layers.0": dict(q_proj=2, k_proj=3, v_proj=4, o_proj=5, gate_proj=3, up_proj=1, down_proj=4),
    "model.layers.1": dict(q_proj=5, k_proj=0, v_proj=2, o_proj=3, gate_proj=4, up_proj=3, down_proj=2),
}
R_MAX = 8  # larger than any rank present, so that α / r_max can't be taken for α / (largest rank)


RANKS = {  # of train-lora-ranks; 0 is a closed site
    "model.layers.0": dict(q_proj=3, k_proj=0, v_proj=6, o_proj=1, gate_proj=2, up_proj=0, down_proj=4),
    "model.layers.1": dict(q_proj=0, k_proj=0, v_proj=0, o_proj=5, gate_proj=0, up_proj=1, down_proj=6),
}


def write_json(file, value):
    Path(file).write_text(json.dumps(value, indent=2) + "\n")


def write_rows(file, vocab, seed, lengths=LENGTHS):
    """Rows that can be learnt: the answer repeats the prompt's first tokens. Prompts are masked, one row has a gap, one none."""
    rng = random.Random(seed)
    lines = []
    for index, length in enumerate(lengths):
        ids = [rng.randrange(3, vocab) for _ in range(length)]
        prompt = [0, length // 3, length // 2][index % 3]
        period = max(prompt + 1, 5)
        ids = (ids[:period] * length)[:length]
        labels = [-100] * prompt + ids[prompt:]
        if index == 4:
            labels[length - 4 : length - 2] = [-100, -100]
        lines.append(json.dumps({"input_ids": ids, "labels": labels}))
    Path(file).write_text("\n".join(lines) + "\n")


def site_path(layer, name):
    return f"{layer}.{'self_attn' if name[0] in 'qkvo' else 'mlp'}.{name}"


def f32(tensors):
    return {k: v.detach().float().contiguous() for k, v in tensors.items()}


def write_answers(folder, run):
    """grads.safetensors, run.golden.json and final.safetensors, and how far PyTorch's own float32 is from them."""
    files = (folder, folder / "adapter/adapter_model.safetensors", folder / "data.jsonl", run)
    grads, (log, final) = lora_moe.gradients(*files), lora_moe.train(*files)
    save_file(f32(grads), folder / "grads.safetensors")
    save_file(f32(final), folder / "final.safetensors")
    write_json(folder / "run.golden.json", log)
    single, (log32, final32) = lora_moe.gradients(*files, torch.float32), lora_moe.train(*files, torch.float32)
    relative = lambda a, b: max(((a[k].double() - b[k]).norm() / b[k].norm()).item() for k in b if b[k].norm() > 0)
    zero = [k for k, v in grads.items() if v.dim() and v.norm() == 0]
    print(f"{folder.name}: loss {log[0]['loss']:.4f} → {log[-1]['loss']:.4f}, grad norms {min(l['grad_norm'] for l in log):.2f}–{max(l['grad_norm'] for l in log):.2f}")
    print(f"  float32 against float64: gradients {relative(single, grads):.1e}, loss by step {max(abs(a['loss'] - b['loss']) for a, b in zip(log32, log)):.1e}, final {relative(final32, final):.1e}")
    print(f"  tensors without any gradient: {zero}")


def make_moe(out):
    folder = out / "train-moe"
    config = LlamaConfig(**{**COMMON, "intermediate_size": 64}, tie_word_embeddings=True, rope_parameters=rope(10000.0))
    model, g = build(config, torch.float32, 1)
    save_checkpoint(model, folder)
    write_rows(folder / "data.jsonl", config.vocab_size, 1)

    tensors, experts, ranks = {}, {}, {}
    for layer, counts in EXPERTS.items():
        for name, count in counts.items():
            site = site_path(layer, name)
            linear = model.get_submodule(site)
            outputs, inputs = linear.weight.shape
            experts[site] = count
            if count:
                tensors[f"{lora_moe.PREFIX}{site}.router.weight"] = 0.5 * torch.randn(count, inputs, generator=g)
            for i in range(count):
                rank = ranks[f"{site}.experts.{i}"] = int(torch.randint(1, R_MAX, (), generator=g))
                tensors[f"{lora_moe.PREFIX}{site}.experts.{i}.lora_A.weight"] = torch.randn(rank, inputs, generator=g) / inputs**0.5
                tensors[f"{lora_moe.PREFIX}{site}.experts.{i}.lora_B.weight"] = 0.1 * torch.randn(outputs, rank, generator=g)
    assert set(ranks.values()) == set(range(1, R_MAX))
    settings = {"method": "lora-moe", "targets": lora_moe.TARGETS, "rank": R_MAX, "experts": 5, "topK": 2, "alpha": 16, "dropout": 0,
                "scale": "constant", "balance": 0.01}
    (folder / "adapter").mkdir()
    save_file(tensors, folder / "adapter/adapter_model.safetensors", metadata={"format": "pt"})
    write_json(folder / "adapter/adapter_config.json", {
        "peft_type": "GUILOMO", "task_type": "CAUSAL_LM", "base_model_name_or_path": "train-moe", "revision": None, "lora_alpha": 16,
        "lora_dropout": 0, "top_k": 2, "scale": "constant", "r_max": R_MAX, "target_modules": lora_moe.TARGETS, "experts": experts, "ranks": ranks})
    write_json(folder / "expert.json", experts)
    write_json(folder / "rank.json", ranks)
    write_json(folder / "run.json", {"seed": 1, "data": DATA, "adapter": settings,
                                     "allocation": {"experts": "expert.json", "ranks": "rank.json"}, "search": False, "train": {**TRAIN, "epochs": None}})
    write_answers(folder, lora_moe.load_run(folder / "run.json"))

    ids = torch.randint(0, config.vocab_size, (2, 16), generator=g)
    file = folder / "adapter/adapter_model.safetensors"
    save_file({"input_ids": ids.int(), **{name: lora_moe.logits(folder, file, ids, {**settings, "scale": scale}).float().contiguous()
               for name, scale in (("logits", "constant"), ("logits_per_expert", "per-expert"))}}, folder / "golden.safetensors")


def make_lora(out):
    folder = out / "train-lora"
    config = Qwen2Config(**COMMON, tie_word_embeddings=True, rope_parameters=rope(1000000.0))
    model, g = build(config, torch.float32, 2)
    save_checkpoint(model, folder)
    write_rows(folder / "data.jsonl", config.vocab_size, 2)

    tuned = write_peft(folder, folder / "adapter", g, r=4, lora_alpha=16, target_modules=lora_moe.TARGETS)
    settings = {"method": "lora", "targets": lora_moe.TARGETS, "rank": 4, "alpha": 16, "dropout": 0}
    write_json(folder / "run.json", {"seed": 1, "data": DATA, "adapter": settings, "allocation": "uniform", "search": False, "train": {**TRAIN, "epochs": None}})
    run = lora_moe.load_run(folder / "run.json")
    write_answers(folder, run)

    write_peft_logits(folder, folder, tuned, g, run["adapter"])


def make_lora_ranks(out):
    """A rank a site, some sites closed, on train-lora's base model."""
    folder, base, rank, alpha = out / "train-lora-ranks", out / "train-lora", 6, 16
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    ranks = {site_path(layer, name): r for layer, sites in RANKS.items() for name, r in sites.items()}
    opened = {site: r for site, r in ranks.items() if r}
    g = torch.Generator().manual_seed(7)
    tuned = write_peft(base, folder / "adapter", g, r=rank, lora_alpha=alpha, target_modules=list(opened), rank_pattern=opened,
                       alpha_pattern={site: alpha * r / rank for site, r in opened.items()})
    write_json(folder / "rank.json", ranks)
    write_peft_logits(folder, base, tuned, g, {"rank": rank, "alpha": alpha})


def write_peft(model_dir, folder, g, **config):
    """A random LoRA adapter as PEFT writes it. Returns PEFT's model."""
    base = load_f32(model_dir)
    base.config._name_or_path = base.name_or_path = model_dir.name
    tuned = get_peft_model(base, LoraConfig(lora_dropout=0.0, task_type="CAUSAL_LM", base_model_name_or_path=model_dir.name, **config)).eval()
    for name, p in tuned.named_parameters():
        if ".lora_A." in name:
            p.data = torch.randn(p.shape, generator=g) / p.shape[1] ** 0.5
        if ".lora_B." in name:
            p.data = 0.1 * torch.randn(p.shape, generator=g)
    tuned.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    file = folder / "adapter_config.json"
    saved = json.loads(file.read_text())
    saved["target_modules"].sort()  # PEFT writes a set, in any order
    file.write_text(json.dumps(saved, indent=2))
    return tuned


def write_peft_logits(folder, model_dir, tuned, g, settings):
    """golden.safetensors by PEFT; lora_moe.py must agree."""
    ids = torch.randint(0, tuned.config.vocab_size, (2, 16), generator=g)
    with torch.no_grad():
        expected = tuned(ids).logits
    ours = lora_moe.logits(model_dir, folder / "adapter/adapter_model.safetensors", ids, settings)
    assert (expected - ours).abs().max() < 1e-4, f"{folder.name}: PEFT and lora_moe.py disagree"
    save_file({"input_ids": ids.int(), "logits": expected.contiguous()}, folder / "golden.safetensors")


def make(out: Path):
    make_moe(out)
    make_lora(out)
    make_lora_ranks(out)
