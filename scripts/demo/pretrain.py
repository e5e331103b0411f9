# Makes the demo's base model: trains its tokenizer, pretrains the small Llama on the little world, tests it, writes the folder.
"""python pretrain.py [--out DIR] [--seed N] [--steps N] [--tokenizer-only]

About ten minutes on two cores. Ends with an error, and writes no model, unless the model copies (see GATES): whether the tasks
can be learnt on top of it depends on that and not on its loss.
"""

import argparse
import json
import math
import random
import re
import sys
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn import functional as F

import tasks
import world
from model import Llama, Shape, exact_match

STEPS, ROWS, LENGTH = 1800, 16, 128
CURRICULUM = 200
WARMUP = 20
MUON, ADAM = 0.02, 4e-3
GATES = {'agent of a passive': 0.9, 'echo': 0.95}
VOCAB_MULTIPLE = 16

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'user' %}{{ '<|user|> ' }}{{ message['content'] | trim }}{{ '<|end|>' }}"
    "{% elif message['role'] == 'assistant' %}{{ '<|assistant|> ' }}{{ message['content'] | trim }}{{ '<|end|>' }}"
    "{% else %}{{ raise_exception('This model knows the roles user and assistant only.') }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


# --- tokenizer ---------------------------------------------------------------------------------------------------------------


def world_words():
    """Every word of documents and tasks, with its leading space, most frequent first."""
    rng = random.Random(99)
    texts = [world.document(rng) for _ in range(20000)]
    for skills in (tasks.FIRST, tasks.SECOND):
        train, held = tasks.dataset(skills)
        texts += [world.chat(row['prompt'], row['completion']) for row in train + held]
    counts = {}
    for text in texts:
        for word in re.findall(r' [A-Za-z]+', text):
            counts[word] = counts.get(word, 0) + 1
    return sorted(counts, key=lambda word: (-counts[word], word))


def make_tokenizer():
    """A byte-level BPE of 256 bytes and the merges that make each word of the world one token."""
    words = world_words()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=4096,
        min_frequency=1,
        special_tokens=world.SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(words, trainer)
    for word in words:
        assert len(tokenizer.encode(word).ids) == 1, f'{word!r} is not one token'
    return tokenizer, words


def write_tokenizer(tokenizer, out):
    tokenizer.save(str(out / 'tokenizer.json'), pretty=False)
    config = {
        'add_bos_token': False,
        'add_eos_token': False,
        'bos_token': world.BOS,
        'chat_template': TEMPLATE,
        'clean_up_tokenization_spaces': False,
        'eos_token': world.END,
        'model_max_length': Shape.positions,
        'pad_token': world.PAD,
        'tokenizer_class': 'PreTrainedTokenizerFast',
    }
    (out / 'tokenizer_config.json').write_text(json.dumps(config, indent=2) + '\n', encoding='utf-8')


# --- model and optimizer -----------------------------------------------------------------------------------------------------


def initial_model(shape):
    """Random weights, but for the first key group of layer 0: its heads start by looking one and two tokens back.

    Embedding channel 0 starts as a constant, from which these heads make the same query and key for every token; the query is
    turned back by one or two positions, so that the rotary embedding makes it agree best with the key there.
    """
    model = Llama(shape)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() < 2:
                continue
            std = 0.05 if 'embed' in name else 0.5 / math.sqrt(weight.shape[1])
            if 'o_proj' in name or 'down_proj' in name:
                std *= 0.5
            weight.normal_(0, std)
        model.embed_tokens.weight[:, 0] = 0.2
        attention = model.layers[0].self_attn
        half, head = shape.head // 2, shape.head
        inverse = 1.0 / shape.theta ** (torch.arange(half).float() / half)
        used = torch.arange(half) < 8  # the slow frequencies can't tell neighbours apart
        strength = 1.6
        attention.k_proj.weight[:head] *= 0.1
        attention.k_proj.weight[:half, 0] = used * strength
        for i in range(shape.heads // shape.kv_heads):
            rows = slice(i * head, (i + 1) * head)
            turn = -(i + 1) * inverse
            attention.q_proj.weight[rows] *= 0.1
            attention.q_proj.weight[rows, 0] = torch.cat([turn.cos(), turn.sin()]) * torch.cat([used, used]) * strength
    return model


def orthogonal(g):
    """Newton–Schulz iteration of Muon: the nearest orthogonal matrix, roughly."""
    a, b, c = 3.4445, -4.7750, 2.0315
    wide = g.shape[0] <= g.shape[1]
    x = g if wide else g.T
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        s = x @ x.T
        x = a * x + (b * s + c * s @ s) @ x
    return x if wide else x.T


class Muon:
    """Momentum 0.95 (Nesterov), orthogonalised."""

    def __init__(self, weights):
        self.weights = weights
        self.momenta = [torch.zeros_like(w) for w in weights]

    @torch.no_grad()
    def step(self, lr):
        for w, m in zip(self.weights, self.momenta):
            m.mul_(0.95).add_(w.grad, alpha=0.05)
            update = orthogonal(w.grad.lerp(m, 0.95))
            w.sub_(update, alpha=lr * max(1.0, w.shape[0] / w.shape[1]) ** 0.5)
            w.grad = None


# --- data --------------------------------------------------------------------------------------------------------------------


def document_rows(tokenizer, count, seed):
    """(count, LENGTH + 1) token ids: documents one after the other, every row starting with a new one."""
    rng = random.Random(seed)
    rows = np.zeros((count, LENGTH + 1), dtype=np.int64)
    filled, row = 0, []
    while filled < count:
        for encoding in tokenizer.encode_batch([world.document(rng) for _ in range(256)]):
            row += encoding.ids
            if len(row) > LENGTH:
                rows[filled] = row[: LENGTH + 1]
                filled, row = filled + 1, []
                if filled == count:
                    break
    return torch.from_numpy(rows)


def copy_rows(rng, vocab, count):
    """(count, LENGTH + 1) random token ids in which each stretch is repeated; its length changes from stretch to stretch."""
    rows = np.zeros((count, LENGTH + 1), dtype=np.int64)
    for i in range(count):
        row = []
        while len(row) <= LENGTH:
            stretch = rng.integers(len(world.SPECIAL), vocab, rng.integers(3, 24)).tolist()
            row += stretch * int(rng.integers(2, 4))
        rows[i] = row[: LENGTH + 1]
    return torch.from_numpy(rows)


# --- tests of the result -----------------------------------------------------------------------------------------------------


@torch.no_grad()
def probe_passive(model, tokenizer, count=300):
    """Share of "A bit B. So B was bitten by" that go on with A, for animals (the noun after "the") and names."""
    rng = random.Random(5)
    right = 0
    for _ in range(count):
        verb, (who, whom) = rng.choice(world.TRANSITIVE), world.beings(rng, 2)
        text = f'{world.BOS} {world.cap(who)} {verb.past} {whom}. So {whom} was {verb.participle} by {who}'
        ids = tokenizer.encode(text).ids
        right += model(torch.tensor([ids[:-1]]))[0, -1].argmax().item() == ids[-1]
    return right / count


@torch.no_grad()
def probe_echo(model, tokenizer, count=200):
    """Share of the words of a list's second saying that are predicted."""
    rng = random.Random(6)
    right = total = 0
    for _ in range(count):
        words = ' '.join(rng.choice(world.ECHO_WORDS) for _ in range(rng.randint(3, 14)))
        first, second = rng.sample(world.NAMES, 2)
        head = tokenizer.encode(f'{world.BOS} {first} says: {words}. {second} says:').ids
        tail = tokenizer.encode(f' {words}').ids
        ids = torch.tensor([head + tail])
        guess = model(ids[:, :-1])[0, len(head) - 1 :].argmax(-1)
        right += (guess == ids[0, len(head) :]).sum().item()
        total += len(tail)
    return right / total


@torch.no_grad()
def samples(model, tokenizer, starts, seed=3):
    """Texts sampled at temperature 0.8."""
    generator = torch.Generator().manual_seed(seed)
    end = tokenizer.token_to_id(world.END)
    texts = []
    for start in starts:
        ids = tokenizer.encode(start).ids
        for _ in range(60):
            p = torch.softmax(model(torch.tensor([ids]))[0, -1] / 0.8, -1)
            ids.append(torch.multinomial(p, 1, generator=generator).item())
            if ids[-1] == end:
                break
        texts.append(tokenizer.decode(ids, skip_special_tokens=False))
    return texts


# --- main --------------------------------------------------------------------------------------------------------------------


def pretrain(tokenizer, shape, seed, steps, say):
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = initial_model(shape)
    hidden = [w for n, w in model.named_parameters() if w.dim() == 2 and 'embed' not in n]
    rest = [w for n, w in model.named_parameters() if w.dim() != 2 or 'embed' in n]
    muon, adam = Muon(hidden), torch.optim.AdamW(rest, lr=ADAM, betas=(0.9, 0.95), weight_decay=0.0)
    curriculum = min(CURRICULUM, steps // 2)
    documents = document_rows(tokenizer, (steps - curriculum) * ROWS, seed)
    say(f'{documents.numel():,} tokens of documents; {sum(p.numel() for p in model.parameters()):,} parameters')
    began = time.time()
    for step in range(steps):
        if step < curriculum:
            batch = copy_rows(rng, tokenizer.get_vocab_size(), ROWS)
        else:
            at = (step - curriculum) * ROWS
            batch = documents[at : at + ROWS]
        scale = min((step + 1) / WARMUP, 1.0) * (1 - step / steps)
        loss = F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        loss.backward()
        muon.step(MUON * scale)
        for group in adam.param_groups:
            group['lr'] = ADAM * scale
        adam.step()
        adam.zero_grad(set_to_none=True)
        if step % 50 == 0 or step == steps - 1:
            line = f'step {step} loss {loss.item():.3f} {time.time() - began:.0f} s'
            if step % 200 == 0 or step == steps - 1:
                line += f' passive {probe_passive(model, tokenizer, 100):.2f} echo {probe_echo(model, tokenizer, 50):.2f}'
            say(line)
    return model


def main():
    root = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, default=root / 'public' / 'demo')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--steps', type=int, default=STEPS)
    parser.add_argument('--tokenizer-only', action='store_true')
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    def say(text):
        print(text, flush=True)

    tokenizer, words = make_tokenizer()
    write_tokenizer(tokenizer, args.out)
    size = tokenizer.get_vocab_size()
    say(f'{size} tokens, {len(words)} words of one token each')
    if args.tokenizer_only:
        return
    # Rows up to a round number: unused ids that the model learns never to say.
    shape = Shape(vocab=-(-size // VOCAB_MULTIPLE) * VOCAB_MULTIPLE)
    model = pretrain(tokenizer, shape, args.seed, args.steps, say)
    # What is tested is what is written: the weights rounded to f16.
    tensors = {key: value.half() for key, value in model.tensors().items()}
    model = Llama.from_tensors(shape, tensors).eval()
    found = {'agent of a passive': probe_passive(model, tokenizer), 'echo': probe_echo(model, tokenizer)}
    say('probes: ' + ', '.join(f'{key} {value:.3f}' for key, value in found.items()))
    end = tokenizer.token_to_id(world.END)
    _, held = tasks.dataset(tasks.FIRST)
    before, answers = exact_match(model, tokenizer, held, end)
    say(f'held-out exact match of the base: {before:.4f}')
    for row, answer in list(zip(held, answers))[:6]:
        say(f'  {row["prompt"]} -> {answer}')
    for text in samples(model, tokenizer, [f'{world.BOS}', f'{world.BOS} It was a cold', f'{world.BOS}{world.USER} The cow has a red drum in the mill.{world.END}{world.ASSISTANT}']):
        say(f'  {text}')
    failed = [f'{key} {found[key]:.3f} < {gate}' for key, gate in GATES.items() if found[key] < gate]
    if before > 0.1:
        failed.append(f'the base solves {before:.3f} of the held-out rows')
    if failed:
        sys.exit('No model written: ' + '; '.join(failed))
    bos, pad = tokenizer.token_to_id(world.BOS), tokenizer.token_to_id(world.PAD)
    save_file(tensors, str(args.out / 'model.safetensors'), metadata={'format': 'pt'})
    (args.out / 'config.json').write_text(json.dumps(shape.config(bos, end, pad), indent=2) + '\n', encoding='utf-8')
    generation = {'bos_token_id': bos, 'eos_token_id': end, 'pad_token_id': pad, 'do_sample': False, 'max_new_tokens': 48}
    (args.out / 'generation_config.json').write_text(json.dumps(generation, indent=2) + '\n', encoding='utf-8')
    say('written')


if __name__ == '__main__':
    main()
