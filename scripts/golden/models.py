"""Tiny random checkpoints and their logits by transformers: the goldens of the forward pass.

Every folder holds a Hugging Face checkpoint (config.json, model.safetensors or shards) and golden.safetensors with
`input_ids` (B, T) int32 and `logits` (B, T, V) float32. Compute is float32 on the weights as the file holds them.
"""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config, Qwen3Config

COMMON = dict(
    vocab_size=97, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=512, bos_token_id=1, eos_token_id=2, pad_token_id=None,
)


def rope(theta, **scaling):
    return dict(rope_type=scaling.pop("kind", "default"), rope_theta=theta, **scaling)


# name → (configuration, stored dtype)
MODELS = {
    "llama-tied": (LlamaConfig(**COMMON, tie_word_embeddings=True, rope_parameters=rope(10000.0)), torch.float32),
    "llama-untied": (LlamaConfig(**COMMON, tie_word_embeddings=False, rms_norm_eps=1e-5, rope_parameters=rope(100000.0)), torch.float32),
    "llama-head-dim": (
        LlamaConfig(**{**COMMON, "hidden_size": 40, "num_key_value_heads": 1, "intermediate_size": 28}, head_dim=16, attention_bias=True,
                    tie_word_embeddings=True, rope_parameters=rope(10000.0)),
        torch.float32,
    ),
    "llama-llama3": (
        LlamaConfig(**{**COMMON, "num_attention_heads": 2, "num_key_value_heads": 1}, tie_word_embeddings=True,
                    rope_parameters=rope(10000.0, kind="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                         original_max_position_embeddings=128)),
        torch.float32,
    ),
    "llama-linear": (
        LlamaConfig(**COMMON, tie_word_embeddings=True, mlp_bias=True, rope_parameters=rope(10000.0, kind="linear", factor=2.5)),
        torch.float32,
    ),
    "qwen2": (Qwen2Config(**{**COMMON, "vocab_size": 131}, tie_word_embeddings=True, rope_parameters=rope(1000000.0)), torch.float32),
    "qwen3": (
        Qwen3Config(**{**COMMON, "hidden_size": 32, "intermediate_size": 40}, head_dim=16, tie_word_embeddings=True,
                    rope_parameters=rope(1000000.0)),
        torch.float32,
    ),
    "llama-f16": (LlamaConfig(**COMMON, tie_word_embeddings=False, rope_parameters=rope(10000.0)), torch.float16),
    "llama-bf16": (LlamaConfig(**COMMON, tie_word_embeddings=True, rope_parameters=rope(10000.0)), torch.bfloat16),
    "qwen2-f16": (Qwen2Config(**COMMON, tie_word_embeddings=True, rope_parameters=rope(1000000.0)), torch.float16),
    "qwen2-bf16": (Qwen2Config(**COMMON, tie_word_embeddings=False, rope_parameters=rope(1000000.0)), torch.bfloat16),
}
SHARDED = {"llama-untied"}
TRANSFORMERS_4 = {"llama-llama3"}  # config.json spelled as transformers 4 wrote it


def randomise(model, generator):
    """Random weights for which logits are O(1): every bias, norm weight and matrix is drawn, none left at 0 or 1."""
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=generator)
        if "norm" in name:
            p.data = 1 + 0.3 * noise
        elif name.endswith("bias"):
            p.data = 0.3 * noise
        elif "embed_tokens" in name:
            p.data = 0.35 * noise
        else:
            p.data = noise / p.shape[1] ** 0.5
    model.tie_weights()


def build(config, dtype, seed):
    generator = torch.Generator().manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager").eval()
    randomise(model, generator)
    return model.to(dtype), generator


def save_checkpoint(model, folder, sharded=False):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model.save_pretrained(folder, **({"max_shard_size": "60KB"} if sharded else {}))
    (folder / "generation_config.json").unlink(missing_ok=True)


def spell_as_transformers_4(folder):
    """Rewrites config.json with rope_theta, rope_scaling and torch_dtype, the spelling of transformers 4."""
    file = folder / "config.json"
    config = json.loads(file.read_text())
    parameters = config.pop("rope_parameters")
    config["rope_theta"] = parameters.pop("rope_theta")
    config["rope_scaling"] = None if parameters["rope_type"] == "default" else parameters
    config["torch_dtype"] = config.pop("dtype")
    config["transformers_version"] = "4.45.2"
    file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def load_f32(folder, **options):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True, **options).eval()


def make(out: Path):
    for index, (name, (config, dtype)) in enumerate(MODELS.items()):
        folder = out / name
        model, generator = build(config, dtype, 100 + index)
        save_checkpoint(model, folder, name in SHARDED)
        if name in TRANSFORMERS_4:
            spell_as_transformers_4(folder)
        ids = torch.randint(0, config.vocab_size, (2, 20), generator=generator)
        with torch.no_grad():
            loaded = load_f32(folder, attn_implementation="eager")
            logits = loaded(ids).logits
        written, read = model.state_dict(), loaded.state_dict()
        assert all(torch.equal(read[k], v.float()) for k, v in written.items()), f"{name}: the files don't give back the model"
        save_file({"input_ids": ids.int(), "logits": logits.contiguous()}, folder / "golden.safetensors")
        print(f"{name}: logits {tuple(logits.shape)} std {logits.std():.2f}, files {sorted(f.name for f in folder.iterdir())}")
