# The demo's Llama in plain PyTorch, shared by the pretraining and the tuning check. Weight names are Hugging Face's.
"""A Llama with grouped heads, SwiGLU and tied embeddings; no cache, no padding mask (rows are padded on the right)."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Shape:
    vocab: int
    hidden: int = 128
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    feed_forward: int = 384
    theta: float = 10000.0
    eps: float = 1e-5
    positions: int = 256

    @property
    def head(self):
        return self.hidden // self.heads

    def config(self, bos, eos, pad):
        """config.json as Hugging Face's LlamaConfig reads it."""
        return {
            'architectures': ['LlamaForCausalLM'],
            'attention_bias': False,
            'attention_dropout': 0.0,
            'bos_token_id': bos,
            'eos_token_id': eos,
            'head_dim': self.head,
            'hidden_act': 'silu',
            'hidden_size': self.hidden,
            'initializer_range': 0.02,
            'intermediate_size': self.feed_forward,
            'max_position_embeddings': self.positions,
            'mlp_bias': False,
            'model_type': 'llama',
            'num_attention_heads': self.heads,
            'num_hidden_layers': self.layers,
            'num_key_value_heads': self.kv_heads,
            'pad_token_id': pad,
            'rms_norm_eps': self.eps,
            'rope_scaling': None,
            'rope_theta': self.theta,
            'tie_word_embeddings': True,
            'torch_dtype': 'float16',
            'use_cache': True,
            'vocab_size': self.vocab,
        }


class Norm(nn.Module):
    def __init__(self, size, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.weight, self.eps)


def rope_tables(shape, length):
    """cos and sin (T, D), halves repeated as Hugging Face does."""
    inverse = 1.0 / shape.theta ** (torch.arange(0, shape.head, 2).float() / shape.head)
    angle = torch.arange(length).float()[:, None] * inverse[None]
    angle = torch.cat([angle, angle], -1)
    return angle.cos(), angle.sin()


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat([-b, a], -1) * sin


class Attention(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.s = s
        self.q_proj = nn.Linear(s.hidden, s.heads * s.head, bias=False)
        self.k_proj = nn.Linear(s.hidden, s.kv_heads * s.head, bias=False)
        self.v_proj = nn.Linear(s.hidden, s.kv_heads * s.head, bias=False)
        self.o_proj = nn.Linear(s.heads * s.head, s.hidden, bias=False)

    def forward(self, x, cos, sin):
        b, t, _ = x.shape
        s = self.s
        q = self.q_proj(x).view(b, t, s.heads, s.head).transpose(1, 2)
        k = self.k_proj(x).view(b, t, s.kv_heads, s.head).transpose(1, 2)
        v = self.v_proj(x).view(b, t, s.kv_heads, s.head).transpose(1, 2)
        each = s.heads // s.kv_heads
        k = rotate(k, cos, sin).repeat_interleave(each, 1)
        v = v.repeat_interleave(each, 1)
        y = F.scaled_dot_product_attention(rotate(q, cos, sin), k, v, is_causal=True)
        return self.o_proj(y.transpose(1, 2).reshape(b, t, -1))


class Mlp(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.gate_proj = nn.Linear(s.hidden, s.feed_forward, bias=False)
        self.up_proj = nn.Linear(s.hidden, s.feed_forward, bias=False)
        self.down_proj = nn.Linear(s.feed_forward, s.hidden, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.input_layernorm = Norm(s.hidden, s.eps)
        self.self_attn = Attention(s)
        self.post_attention_layernorm = Norm(s.hidden, s.eps)
        self.mlp = Mlp(s)

    def forward(self, x, cos, sin):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Llama(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.embed_tokens = nn.Embedding(shape.vocab, shape.hidden)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = Norm(shape.hidden, shape.eps)
        cos, sin = rope_tables(shape, shape.positions)
        self.register_buffer('cos', cos, persistent=False)
        self.register_buffer('sin', sin, persistent=False)

    def forward(self, ids):
        """ids (B, T) → logits (B, T, V)."""
        x = self.embed_tokens(ids)
        t = ids.shape[1]
        for layer in self.layers:
            x = layer(x, self.cos[:t], self.sin[:t])
        return self.norm(x) @ self.embed_tokens.weight.T

    def tensors(self):
        """The weights under Hugging Face's names."""
        return {f'model.{key}': value.detach() for key, value in self.state_dict().items()}

    @staticmethod
    def from_tensors(shape, tensors):
        model = Llama(shape)
        model.load_state_dict({key.removeprefix('model.'): value.float() for key, value in tensors.items()})
        return model


@torch.no_grad()
def greedy(model, prompts, end, limit=16):
    """Greedy continuations of token id lists, each up to and without `end`. Prompts of one length run as one batch."""
    answers = [None] * len(prompts)
    groups = {}
    for i, prompt in enumerate(prompts):
        groups.setdefault(len(prompt), []).append(i)
    for length, members in groups.items():
        ids = torch.tensor([prompts[i] for i in members])
        for _ in range(limit):
            ids = torch.cat([ids, model(ids)[:, -1].argmax(-1, keepdim=True)], 1)
            if (ids[:, length:] == end).any(1).all():
                break
        for row, i in zip(ids[:, length:].tolist(), members):
            answers[i] = row[: row.index(end)] if end in row else row
    return answers


def exact_match(model, tokenizer, rows, end):
    """Share of rows whose greedy answer is the completion, both trimmed; and the answers."""
    from world import chat

    prompts = [tokenizer.encode(chat(row['prompt'])).ids for row in rows]
    answers = [tokenizer.decode(ids).strip() for ids in greedy(model, prompts, end)]
    return sum(a == row['completion'].strip() for a, row in zip(answers, rows)) / len(rows), answers
