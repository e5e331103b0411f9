"""Writes every golden file: python scripts/golden/make.py [OUT], by default src/testing/golden of this repository."""

import sys
from pathlib import Path

import torch

import fixtures
import gguf_models
import lora_moe
import models
import search_fixtures

if __name__ == "__main__":
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2] / "src/testing/golden"
    torch.set_num_threads(1)
    lora_moe.check_worked_example()
    models.make(out)
    fixtures.make(out)
    search_fixtures.make(out)
    gguf_models.make(out)
    print(f"{sum(f.stat().st_size for f in out.rglob('*') if f.is_file()) / 1e6:.2f} MB in {out}")
