"""What transformers and PyTorch make of the real SmolLM2-135M-Instruct, dequantised by the gguf package: src/testing/golden/smollm2/golden.json.

python smollm2.py FILE.gguf INIT.safetensors        INIT as `npm run prove -- smollm2 --init INIT.safetensors` writes it

Questions, run settings and training rows are in questions.json there, the held-out English in held-out.txt. Answers are by transformers in
float32, perplexity and training losses in float64 (lora_moe.py).
"""

import hashlib
import json
import sys
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

import lora_moe

FOLDER = Path(__file__).resolve().parents[2] / "src/testing/golden/smollm2"


def sha(data):
    return hashlib.sha256(data).hexdigest()


def chat(tokenizer, messages, prompt):
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)
    return tokenizer.encode(text, add_special_tokens=False)


def answer(model, tokenizer, prompt, new_tokens):
    """The greedy answer, and by how much its most doubtful token was ahead of the second."""
    ids = chat(tokenizer, [{"role": "user", "content": prompt}], True)
    done = model.generate(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), do_sample=False, max_new_tokens=new_tokens,
                          return_dict_in_generate=True, output_logits=True, pad_token_id=0)
    new = done.sequences[0, len(ids) :].tolist()
    best = torch.cat(done.logits).topk(2).values
    margin = (best[:, 0] - best[:, 1]).min().item()
    return {"prompt_ids": ids, "ids": new, "text": tokenizer.decode(new, skip_special_tokens=True).strip(), "margin": margin}


def held_out_loss(model, tokenizer, rows, tokens):
    """Mean cross-entropy of the text's first rows · tokens tokens, each row on its own; a row's first token is not predicted."""
    ids = tokenizer.encode((FOLDER / "held-out.txt").read_text(), add_special_tokens=False)
    assert len(ids) >= rows * tokens, f"held-out.txt has {len(ids)} tokens"
    table = torch.tensor(ids[: rows * tokens]).reshape(rows, tokens)
    with torch.no_grad():
        losses = [F.cross_entropy(model(row[None], use_cache=False).logits[0, :-1], row[1:]) for row in table]
    return torch.stack(losses).mean().item(), ids


def training_row(tokenizer, prompt, completion):
    """Ids of the whole conversation; the answer and its end-of-turn token carry loss."""
    user = [{"role": "user", "content": prompt}]
    ids = chat(tokenizer, [*user, {"role": "assistant", "content": completion}], False)
    start, end = len(chat(tokenizer, user, True)), ids.index(tokenizer.eos_token_id, len(chat(tokenizer, user, True))) + 1
    return {"input_ids": ids, "labels": [-100] * start + ids[start:end] + [-100] * (len(ids) - end)}


def save_dequantised(model, folder):
    """A Hugging Face folder of the f32 values; transformers itself saves no model that it has read from GGUF."""
    folder.mkdir()
    model.config.__dict__.pop("quantization_config", None)
    model.config.save_pretrained(folder)
    save_file({k: v.contiguous() for k, v in model.state_dict().items() if k != "lm_head.weight"}, folder / "model.safetensors", {"format": "pt"})


def main():
    gguf, init = Path(sys.argv[1]), Path(sys.argv[2])
    questions = json.loads((FOLDER / "questions.json").read_text())
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32).eval()
    golden = {"gguf": sha(gguf.read_bytes()), "init": sha(init.read_bytes())}
    golden["answers"] = [answer(model, tokenizer, p, questions["newTokens"]) for p in questions["prompts"]]
    for a in golden["answers"]:
        print(f"{a['margin']:.4f} {a['text']!r}", flush=True)

    rows = [training_row(tokenizer, **row) for row in questions["data"]]
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, data, run = Path(folder) / "model", Path(folder) / "data.jsonl", Path(folder) / "run.json"
        save_dequantised(model, checkpoint)
        del model
        held = questions["heldOut"]
        loss, ids = held_out_loss(lora_moe.load_model(checkpoint), tokenizer, held["rows"], held["tokens"])
        perplexity = torch.tensor(loss, dtype=torch.float64).exp().item()
        used = ids[: held["rows"] * held["tokens"]]
        golden["heldOut"] = {"ids": sha(" ".join(map(str, used)).encode()), "predicted": held["rows"] * (held["tokens"] - 1), "loss": loss, "perplexity": perplexity}
        print(golden["heldOut"], flush=True)
        data.write_text("\n".join(map(json.dumps, rows)) + "\n")
        run.write_text(json.dumps(questions["run"]))
        log, _ = lora_moe.train(checkpoint, init, data, lora_moe.load_run(run))
    golden["training"] = {"rows": rows, "steps": log}
    for line in log:
        print(line)
    (FOLDER / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
