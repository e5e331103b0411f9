"""The search for ranks of plain LoRA: search.py's with one LoRA pair a site, no router, no expert GSV and no balance loss.

Shapes: A (R, C), B (O, R), rank_scale e (R), rank GSV (R), whose entry k means rank k + 1; with closable (R + 1), entry k means rank k.
"""

from torch import nn

from lora_moe import PREFIX
from search import Search, open_rows, rank_mask, survival


class RankLinear(nn.Module):
    """y = x W0ᵀ (+ b) + s · ((x Aᵀ) ⊙ e ⊙ mask) Bᵀ, s = α / R_max."""

    def __init__(self, base, site, search):
        super().__init__()
        self.base, self.key, self.search = base, PREFIX + site, search

    def forward(self, x):
        s, w_of = self.search.settings, self.search.lower
        rows = w_of[f"{self.key}.rank_scale"] * self.search.masks[f"{self.key}.gsv_rank"]
        down = (x @ w_of[f"{self.key}.lora_A.weight"].T) * rows
        return self.base(x) + s["alpha"] / s["rank"] * down @ w_of[f"{self.key}.lora_B.weight"].T


class RankSearch(Search):
    site_gsv, linear = ".gsv_rank", RankLinear

    def make_masks(self):
        return {k: rank_mask(g, self.settings, self.settings["closable"]) for k, g in self.a.items()}

    def parameter_share(self):
        """Σ_sites (C + O) · Σ_j P(r > j), as a share of Σ_sites (C + O) · R_max."""
        expected, most = 0.0, 0
        for site, (c, o) in self.parameters.items():
            rows = survival(self.a[f"{PREFIX}{site}.gsv_rank"], 0, self.settings["closable"])
            expected = expected + rows.sum() * (c + o)
            most += len(rows) * (c + o)
        return expected / most

    def allocation(self):
        """Ranks by site, by argmax; a closed site has rank 0."""
        return {"ranks": {site: open_rows(self.a[f"{PREFIX}{site}.gsv_rank"], self.settings["closable"]) for site in self.sites}}
