# Checks that the demo can be learnt: tunes a LoRA-MoE adapter on the frozen base in plain PyTorch, reports held-out exact match.
"""python check_tuning.py [--model DIR] [--data DIR] [--steps N] [--seeds 0 1 2] [--lr X] [--method lora-moe|lora]

The adapter: softmax over all experts, the two largest kept and renormalised, scale alpha / rank, on all seven linears of every
layer; balance loss 0.001, no dropout; AdamW, linear schedule with warm-up, clip 1; loss on completions and their end token.
Ends with an error if a seed stays below --least.
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import nn
from torch.nn import functional as F

import world
from model import Llama, Shape, exact_match


class LoraMoe(nn.Module):
    """A frozen linear with E experts of rank R and a router of its own; E = 1 with top-1 is plain LoRA."""

    def __init__(self, base, experts, rank, keep, alpha):
        super().__init__()
        self.weight = nn.Parameter(base.weight.detach(), requires_grad=False)
        out, size = self.weight.shape
        bound = 1 / math.sqrt(size)
        self.a = nn.Parameter(torch.empty(experts * rank, size).uniform_(-bound, bound))
        self.b = nn.Parameter(torch.zeros(out, experts * rank))
        self.router = nn.Parameter(torch.empty(experts, size).uniform_(-bound, bound)) if experts > 1 else None
        self.experts, self.rank, self.keep, self.scale = experts, rank, keep, alpha / rank
        self.balance = torch.zeros(())
        self.mask = None

    def forward(self, x):
        h = F.linear(x, self.a) * self.scale
        if self.router is not None:
            p = F.linear(x, self.router).softmax(-1)
            top, chosen = p.topk(self.keep, -1)
            kept = torch.zeros_like(p).scatter(-1, chosen, 1.0)
            gate = p * kept / top.sum(-1, keepdim=True)
            h = (h.unflatten(-1, (self.experts, self.rank)) * gate[..., None]).flatten(-2)
            if self.mask is not None:
                share = kept[self.mask].mean(0) / self.keep
                self.balance = self.experts * (share * p[self.mask].mean(0)).sum()
        return F.linear(x, self.weight) + F.linear(h, self.b)


def adapt(model, args):
    for weight in model.parameters():
        weight.requires_grad_(False)
    sites = []
    experts, keep = (args.experts, 2) if args.method == 'lora-moe' else (1, 1)
    for layer in model.layers:
        for part in (layer.self_attn, layer.mlp):
            for name, child in list(part.named_children()):
                site = LoraMoe(child, experts, args.rank, keep, args.alpha)
                setattr(part, name, site)
                sites.append(site)
    return sites


def load(folder):
    config = json.loads((folder / 'config.json').read_text())
    shape = Shape(
        vocab=config['vocab_size'],
        hidden=config['hidden_size'],
        layers=config['num_hidden_layers'],
        heads=config['num_attention_heads'],
        kv_heads=config['num_key_value_heads'],
        feed_forward=config['intermediate_size'],
        theta=config['rope_theta'],
        eps=config['rms_norm_eps'],
        positions=config['max_position_embeddings'],
    )
    tokenizer = Tokenizer.from_file(str(folder / 'tokenizer.json'))
    return Llama.from_tensors(shape, load_file(str(folder / 'model.safetensors'))), tokenizer, config['eos_token_id']


def read(path):
    return [json.loads(line) for line in path.read_text(encoding='utf-8').splitlines()]


def encode(tokenizer, row):
    """(ids, index of the first trained token)."""
    return tokenizer.encode(world.chat(row['prompt'], row['completion'])).ids, len(tokenizer.encode(world.chat(row['prompt'])).ids)


def tune(args, seed):
    torch.manual_seed(seed)
    model, tokenizer, end = load(args.model)
    train, held = read(args.data / 'train.jsonl'), read(args.data / 'heldout.jsonl')
    rows = [encode(tokenizer, row) for row in train]
    before, _ = exact_match(model, tokenizer, held, end)
    sites = adapt(model, args)
    weights = [w for w in model.parameters() if w.requires_grad]
    print(f'seed {seed}: {sum(w.numel() for w in weights):,} parameters, longest row {max(len(ids) for ids, _ in rows)} tokens, before {before:.4f}', flush=True)
    adam = torch.optim.AdamW(weights, lr=args.lr, betas=(0.9, 0.999), weight_decay=0.0)
    order, began = [], time.time()
    for step in range(args.steps):
        if len(order) < args.batch:
            order = torch.randperm(len(rows)).tolist()
        batch = [rows[order.pop()] for _ in range(args.batch)]
        width = max(len(ids) for ids, _ in batch)
        ids = torch.zeros(args.batch, width, dtype=torch.long)
        labels = torch.full((args.batch, width), -100)
        mask = torch.zeros(args.batch, width, dtype=torch.bool)
        for i, (row, start) in enumerate(batch):
            ids[i, : len(row)] = torch.tensor(row)
            labels[i, start : len(row)] = torch.tensor(row[start:])
            mask[i, : len(row)] = True
        for site in sites:
            site.mask = mask
        ce = F.cross_entropy(model(ids)[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        loss = ce + 0.001 * sum(site.balance for site in sites)
        rate = args.lr * (step / args.warmup if step < args.warmup else (args.steps - step) / (args.steps - args.warmup))
        for group in adam.param_groups:
            group['lr'] = rate
        adam.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        adam.step()
        if step % 40 == 0 or step == args.steps - 1:
            print(f'  step {step} ce {ce.item():.4f} {time.time() - began:.0f} s', flush=True)
    for site in sites:
        site.mask = None
    after, answers = exact_match(model, tokenizer, held, end)
    skills = sorted({row['skill'] for row in held})
    right = {skill: [a == row['completion'] for a, row in zip(answers, held) if row['skill'] == skill] for skill in skills}
    print(f'  after {after:.4f}; ' + ', '.join(f'{skill} {sum(hits) / len(hits):.2f}' for skill, hits in right.items()))
    wrong = [(row, a) for a, row in zip(answers, held) if a != row['completion']]
    for row, answer in wrong[:8]:
        print(f'    {row["prompt"]} -> {answer} (not: {row["completion"]})')
    return after


def main():
    root = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--model', type=Path, default=root / 'public' / 'demo')
    parser.add_argument('--data', type=Path, default=root / 'public' / 'demo')
    parser.add_argument('--method', choices=['lora-moe', 'lora'], default='lora-moe')
    parser.add_argument('--experts', type=int, default=8)
    parser.add_argument('--rank', type=int, default=8)
    parser.add_argument('--alpha', type=float, default=16)
    parser.add_argument('--batch', type=int, default=8)
    parser.add_argument('--steps', type=int, default=200)
    parser.add_argument('--warmup', type=int, default=10)
    parser.add_argument('--lr', type=float, default=5e-3)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0])
    parser.add_argument('--least', type=float, default=0.9)
    args = parser.parse_args()
    found = {seed: tune(args, seed) for seed in args.seeds}
    low = {seed: value for seed, value in found.items() if value < args.least}
    if low:
        sys.exit(f'below {args.least}: {low}')


if __name__ == '__main__':
    main()
