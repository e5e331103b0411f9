"""Loads a plain LoRA adapter into Hugging Face PEFT and compares its logits with ours.

python check_peft.py ADAPTER_DIR MODEL_DIR LOGITS.safetensors IDS.json
IDS.json is [[…],[…]] of equal lengths, LOGITS.safetensors holds `logits` (B, T, V). Exit code 1 above 1e-4.
"""

import json
import sys
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file

from models import load_f32

LIMIT = 1e-4

if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    adapter, model, logits_file, ids_file = sys.argv[1:]
    ids = torch.tensor(json.loads(Path(ids_file).read_text()))
    ours = load_file(logits_file)["logits"]
    tuned = PeftModel.from_pretrained(load_f32(model), adapter).eval()
    loaded = {k: v for k, v in tuned.state_dict().items() if ".lora_" in k}
    in_file = load_file(Path(adapter) / "adapter_model.safetensors")
    missing = [k for k in in_file if k.replace(".weight", ".default.weight") not in loaded]
    with torch.no_grad():
        theirs = tuned(ids).logits
    worst = (theirs - ours).abs().max().item() if theirs.shape == ours.shape else float("inf")
    print(f"max |difference| {worst:.3e} (limit {LIMIT:g}) over {tuple(theirs.shape)}; {len(in_file)} tensors, {len(missing)} not taken by PEFT")
    sys.exit(1 if not worst <= LIMIT or missing or len(loaded) != len(in_file) else 0)
