"""Published results on the splits of the benchmark sets: R@20 / N@20 on test, train-only mask (November 2026).

TikTok rows as reported by MMSSL (Wei et al. 2023), DiffMM (Jiang et al. 2024), MMHCL (Guo et al. 2025), GenRec-V1 and
MDMNS; Amazon Baby rows on the MMRec split (Zhou 2023) as reported by each paper. What a row was chosen on stands in its
name where it is known to be test: MMRec's harness, and what derives from it, chooses the epoch on validation and the
hyper-parameters on test; DiffMM, GenRec-V1 and MDMNS report their best test epoch.
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
        "GenRec-V1 (best test epoch)": (0.1165, 0.0492),
        "MDMNS (best test epoch)": (0.1193, 0.0525),
    },
    "baby": {
        "MF-BPR": (0.0575, 0.0249),
        "VBPR": (0.0663, 0.0284),
        "LightGCN": (0.0754, 0.0328),
        "MMGCN": (0.0615, 0.0261),
        "LATTICE": (0.0850, 0.0370),
        "BM3": (0.0883, 0.0383),
        "FREEDOM (settings chosen on test)": (0.0992, 0.0424),
        "LGMRec (settings chosen on test)": (0.1002, 0.0440),
        "GUME (settings chosen on test)": (0.1042, 0.0460),
        "MENTOR (settings chosen on test)": (0.1048, 0.0450),
        "COHESION (settings chosen on test)": (0.1052, 0.0454),
        "FITMM": (0.1089, 0.0484),
        "DOGE": (0.1096, 0.0482),
        "DuGRec (one seed)": (0.1103, 0.0497),
        "BRIDGE (five seeds)": (0.1128, 0.0525),
    },
}
