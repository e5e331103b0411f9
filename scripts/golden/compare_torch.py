"""Repeats one of our runs, or its first gradient, in PyTorch, for any model, and compares where our files are given.

python compare_torch.py --model DIR --adapter DIR_OR_FILE --data FILE.jsonl --config run.json
    [--gradients grads.safetensors]              ours, by `cli gradients`: relative error of every tensor
    [--metrics metrics.jsonl] [--final DIR]      ours, by `cli train --init`: loss by step, relative error of the final tensors
    [--out DIR]                                  writes PyTorch's own grads.safetensors, run.json and final.safetensors
    [--f32]                                      computes in float32 instead of float64

--adapter holds the tensors to start from. Data must be pre-tokenised, dropout 0, shuffle false. Exit code 1 where the bounds of
gradients (1e-4 a tensor, loss 1e-5) or of a run (loss 1e-3 at every step, final tensors 1e-2) are passed.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

import lora_moe


def adapter_file(path):
    path = Path(path)
    return path / "adapter_model.safetensors" if path.is_dir() else path


def relative_errors(ours, theirs):
    """‖ours − theirs‖ / ‖theirs‖ by key; where theirs is 0, ours must be 0 too."""
    assert ours.keys() == theirs.keys(), f"keys differ: {sorted(ours.keys() ^ theirs.keys())[:5]}"
    errors = {}
    for key, value in theirs.items():
        difference, size = (ours[key].double() - value.double()).norm().item(), value.double().norm().item()
        errors[key] = difference / size if size else (0.0 if difference == 0 else float("inf"))
    return errors


def report(name, errors, limit):
    key = max(errors, key=errors.get)
    print(f"{name}: worst {errors[key]:.2e} (limit {limit:g}) at {key}, of {len(errors)}")
    return errors[key] <= limit


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "adapter", "data", "config"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("gradients", "metrics", "final", "out"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--f32", action="store_true")
    args = parser.parse_args()
    run, dtype, good = lora_moe.load_run(args.config), torch.float32 if args.f32 else torch.float64, True
    inputs = (args.model, adapter_file(args.adapter), args.data, run, dtype)

    if args.gradients or args.out:
        grads = lora_moe.gradients(*inputs)
        print(f"loss {grads['loss']:.6f} = ce {grads['ce']:.6f} + {run['adapter']['balance']:g} · balance {grads['balance']:.6f}")
        if args.gradients:
            ours = load_file(args.gradients)
            difference = abs(ours["loss"].item() - grads["loss"].item())
            print(f"loss: difference {difference:.2e} (limit 1e-05)")
            errors = relative_errors(*({k: v for k, v in t.items() if k not in ("loss", "ce", "balance")} for t in (ours, grads)))
            good &= report("gradients", errors, 1e-4) and difference <= 1e-5
    if args.metrics or args.final or args.out:
        log, final = lora_moe.train(*inputs)
        if args.metrics:
            lines = [json.loads(line) for line in Path(args.metrics).read_text().splitlines()]
            ours = {line["step"]: line for line in lines if line.get("stage") == "train" and "loss" in line}
            errors = {f"step {line['step']}": abs(ours[line["step"]]["loss"] - line["loss"]) for line in log}
            good &= report("loss by step", errors, 1e-3)
        if args.final:
            good &= report("final tensors", relative_errors(load_file(adapter_file(args.final)), final), 1e-2)
    if args.out:
        out = Path(args.out)
        out.mkdir(parents=True, exist_ok=True)
        save_file({k: v.float().contiguous() for k, v in grads.items()}, out / "grads.safetensors")
        save_file({k: v.float().contiguous() for k, v in final.items()}, out / "final.safetensors")
        (out / "run.json").write_text(json.dumps(log, indent=2) + "\n")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
