"""Published results on the splits of the benchmark sets: R@20 / N@20 on test, train-only mask.

TikTok rows as reported by MMSSL (Wei et al. 2023), DiffMM (Jiang et al. 2024) and MMHCL (Guo et al. 2025); Amazon Baby
rows on the MMRec split (Zhou 2023) as reported by each paper. DiffMM reports its best test epoch.
"""

PUBLISHED: dict[str, dict[str, tuple[float, float]]] = {
    "tiktok": {
        "MF-BPR": (0.0346, 0.0130),
        "VBPR": (0.0380, 0.0134),
        "LightGCN": (0.0653, 0.0282),
        "MMGCN": (0.0730, 0.0307),
        "LATTICE": (0.0843, 0.0367),
        "SLMRec": (0.0845, 0.0353),
        "MMSSL": (0.0921, 0.0392),
        "BM3": (0.0957, 0.0404),
        "DiffMM (best test epoch)": (0.1129, 0.0456),
        "MMHCL": (0.1139, 0.0492),
    },
    "baby": {
        "MF-BPR": (0.0575, 0.0249),
        "VBPR": (0.0663, 0.0284),
        "LightGCN": (0.0754, 0.0328),
        "MMGCN": (0.0615, 0.0261),
        "LATTICE": (0.0850, 0.0370),
        "BM3": (0.0883, 0.0383),
        "FREEDOM": (0.0992, 0.0424),
        "LGMRec": (0.1002, 0.0440),
        "GUME": (0.1042, 0.0460),
        "MENTOR": (0.1048, 0.0450),
        "COHESION": (0.1052, 0.0454),
    },
}
