"""Tiny GGUF models of each family and quantisation, and their logits by transformers: the goldens of packed weights.

`gguf/FAMILY-TYPE.gguf` are files as llama.cpp's converter writes them (q and k of Llama in rotary pairs, `rope_freqs.weight` for Llama 3's
scaling). `gguf/golden.safetensors` holds `input_ids` and, under FAMILY-TYPE, the logits of transformers in float32 on the weights as the
gguf package dequantises them; `gguf/blocks.safetensors` random blocks of each type, `TYPE.bytes`, and `TYPE.values` of that package.
"""

import shutil
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Q
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config, Qwen3Config

from models import randomise, rope

TYPES = [Q.F32, Q.F16, Q.BF16, Q.Q8_0, Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, Q.Q4_K, Q.Q5_K, Q.Q6_K]
FAMILIES = {"llama": LlamaConfig, "qwen2": Qwen2Config, "qwen3": Qwen3Config}
# What llama.cpp takes for rows that are no multiple of 256.
FALLBACK = {Q.Q4_K: Q.Q5_0, Q.Q5_K: Q.Q5_1, Q.Q6_K: Q.Q8_0}
VOCAB = 67


def random_blocks(quant, shape, std, rng):
    """Random bytes of blocks whose values have about this standard deviation: every bit of the quants and scales is drawn."""
    elements, size = gguf.GGML_QUANT_SIZES[quant]
    blocks = rng.integers(0, 256, (shape[0], shape[1] // elements, size), dtype=np.uint8)
    scale = std * rng.uniform(0.5, 1.5, blocks.shape[:2])

    def put(at, values):
        blocks[..., at : at + 2] = values.astype("<f2")[..., None].view(np.uint8)

    if quant == Q.Q6_K:
        put(208, scale / 1370)
    else:
        steps = {Q.Q4_K: 15, Q.Q5_K: 31}[quant]
        put(0, scale / (12.5 * steps))
        put(2, scale / 25)
    return blocks.reshape(shape[0], -1)


def pack(quant, values, rng):
    """A matrix in a type: quantised where the gguf package can, else random blocks of the matrix's size."""
    if quant in FALLBACK and values.shape[1] % 256:
        quant = FALLBACK[quant]
    if quant in FALLBACK:
        return quant, random_blocks(quant, values.shape, float(values.std()), rng)
    return quant, gguf.quants.quantize(values, quant)


def paired(w, heads):
    """Rows of q or k in rotary pairs, as llama.cpp's converter puts them for Llama."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def unpaired(w, heads):
    return w.reshape(heads, w.shape[0] // heads // 2, 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def configuration(family, quant, index):
    wide = quant in FALLBACK
    scaled = family == "llama" and index % 3 == 0
    extra = dict(attention_bias=index % 2 == 1) if family == "llama" else {}
    size = 256 if wide else 32
    return FAMILIES[family](
        vocab_size=VOCAB, hidden_size=size, intermediate_size=32, num_hidden_layers=2 if quant in (Q.Q8_0, Q.Q4_1) else 1,
        num_attention_heads=2 if wide else 4, num_key_value_heads=1 if wide else 2, head_dim=16 if wide else 8,
        max_position_embeddings=512, bos_token_id=1, eos_token_id=2, pad_token_id=None, tie_word_embeddings=index % 2 == 0, rms_norm_eps=1e-5,
        rope_parameters=rope(10000.0, kind="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                             original_max_position_embeddings=64) if scaled else rope(1000000.0),
        **extra,
    )


def write(path, config, model, quant, rng):
    """Writes the file and returns the model's weights as it holds them."""
    family = config.model_type
    arch = getattr(gguf.MODEL_ARCH, family.upper())
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    out = gguf.GGUFWriter(path, family)
    out.add_context_length(config.max_position_embeddings)
    out.add_embedding_length(config.hidden_size)
    out.add_block_count(config.num_hidden_layers)
    out.add_feed_forward_length(config.intermediate_size)
    out.add_head_count(config.num_attention_heads)
    out.add_head_count_kv(config.num_key_value_heads)
    out.add_key_length(config.head_dim)
    out.add_value_length(config.head_dim)
    out.add_layer_norm_rms_eps(config.rms_norm_eps)
    out.add_rope_freq_base(config.rope_parameters["rope_theta"])
    out.add_vocab_size(config.vocab_size)
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    if config.rope_parameters["rope_type"] == "llama3":
        plain = 1 / config.rope_parameters["rope_theta"] ** (torch.arange(0, config.head_dim, 2).float() / config.head_dim)
        out.add_tensor("rope_freqs.weight", (plain / model.model.rotary_emb.inv_freq).numpy())
    held = {}
    for name, value in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(name.split(".")[-2])
        turned = family == "llama" and heads is not None
        data = paired(value.numpy(), heads) if turned else value.numpy()
        kind, packed = pack(quant, data, rng) if data.ndim == 2 else (Q.F32, data)
        out.add_tensor(names.get_name(name, (".weight", ".bias")), packed, raw_dtype=kind)
        back = gguf.quants.dequantize(packed, kind)
        held[name] = torch.from_numpy((unpaired(back, heads) if turned else back).copy())
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    return held


def make(root: Path):
    folder = root / "gguf"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rng = np.random.default_rng(5)
    generator = torch.Generator().manual_seed(5)
    ids = torch.randint(0, VOCAB, (2, 9), generator=generator)
    golden = {"input_ids": ids.int()}
    for index, quant in enumerate(TYPES):
        for shift, family in enumerate(FAMILIES):
            config = configuration(family, quant, index + shift)
            model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager").eval()
            randomise(model, generator)
            name = f"{family}-{quant.name.lower()}"
            held = write(folder / f"{name}.gguf", config, model, quant, rng)
            model.load_state_dict(held, strict=False)
            model.tie_weights()
            with torch.no_grad():
                golden[name] = model(ids).logits.contiguous()
                if config.rope_parameters["rope_type"] == "default" and not getattr(config, "attention_bias", False):
                    # transformers' own reader of GGUF, which knows neither rope_freqs.weight nor Llama's biases, must agree.
                    own = AutoModelForCausalLM.from_pretrained(
                        folder, gguf_file=f"{name}.gguf", config=config, dtype=torch.float32, attn_implementation="eager")
                    assert torch.allclose(own(ids).logits, golden[name], rtol=1e-5, atol=1e-5), name
            print(f"{name}: logits std {golden[name].std():.2f}, {(folder / f'{name}.gguf').stat().st_size} bytes")
    save_file(golden, folder / "golden.safetensors")
    blocks = {}
    for quant in TYPES[3:]:
        elements, size = gguf.GGML_QUANT_SIZES[quant]
        shape = (1, 4 * elements)
        raw = random_blocks(quant, shape, 1.0, rng) if quant in FALLBACK else gguf.quants.quantize(rng.normal(size=shape).astype(np.float32), quant)
        blocks[f"{quant.name.lower()}.bytes"] = torch.from_numpy(raw.reshape(-1).copy())
        blocks[f"{quant.name.lower()}.values"] = torch.from_numpy(gguf.quants.dequantize(raw, quant).reshape(-1).copy())
    save_file(blocks, folder / "blocks.safetensors")
