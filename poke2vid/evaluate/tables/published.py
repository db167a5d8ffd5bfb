"""Numbers of the paper (Tab. 1-4), to stand beside ours where the data set is the published one."""

from poke2vid.data.sources.dataset import DataSet
from poke2vid.data.sources.human36m import HUMAN36M
from poke2vid.data.sources.iper import IPER
from poke2vid.data.sources.plants import PLANTS
from poke2vid.data.sources.taichi import TAICHI

# Name in `tables --dataset` -> what `prepare --dataset` calls it, in the order of the paper's columns
DATASETS: dict[str, DataSet] = {"pp": PLANTS, "iper": IPER, "taichi": TAICHI, "h36m": HUMAN36M}
# (suite, row) -> column -> values on `DATASETS` in their order, or the first two. FVD on I3D logits, ten frames, 1000 clips
# against 1000; LPIPS on VGG-16. iPER's PSNR of the full model is 23.49 in Tab. 3, 23.11 in Tab. 4 (docs/decisions/018).
PUBLISHED: dict[tuple[int, str], dict[str, tuple[float, ...]]] = {
    (1, "SAVP"): {"FVD": (136.81, 150.39, 309.62, 160.32)},
    (1, "IVRNN"): {"FVD": (184.54, 181.50, 202.33, 465.55)},
    (1, "SRVP"): {"FVD": (283.90, 245.13, 238.71, 174.65)},
    (1, "Ours"): {"FVD": (89.67, 144.92, 171.74, 107.73)},
    (2, "Ours"): {
        "FVD": (137.78, 93.28, 152.76, 100.36), "lpips_vgg": (0.10, 0.06, 0.12, 0.08),
        "psnr": (20.68, 23.99, 20.58, 23.71), "ssim": (0.78, 0.91, 0.75, 0.92),
    },
    (2, "Hao et al."): {
        "FVD": (361.51, 235.08, 341.79, 259.92), "lpips_vgg": (0.16, 0.11, 0.12, 0.10),
        "psnr": (21.28, 21.09, 20.41, 22.81), "ssim": (0.72, 0.88, 0.78, 0.93),
    },
    (3, "Ours RNN"): {"lpips_vgg": (0.08, 0.07), "psnr": (20.92, 23.02), "FVD": (175.42, 250.64)},
    (3, "Ours w/o L_traj"): {"lpips_vgg": (0.07, 0.05), "psnr": (21.53, 22.82), "FVD": (110.00, 203.26)},
    (3, "Ours (single)"): {"lpips_vgg": (0.07, 0.06), "psnr": (21.41, 23.09), "FVD": (115.65, 220.82)},
    (3, "Ours full"): {"lpips_vgg": (0.06, 0.05), "psnr": (21.81, 23.49), "FVD": (89.67, 144.92)},
    (4, "N = 1"): {"lpips_vgg": (0.08, 0.07), "psnr": (21.13, 22.62), "FVD": (170.74, 233.22)},
    (4, "N = 2"): {"lpips_vgg": (0.08, 0.06), "psnr": (21.15, 23.12), "FVD": (138.72, 178.52)},
    (4, "Ours (N = 3)"): {"lpips_vgg": (0.06, 0.05), "psnr": (21.81, 23.11), "FVD": (89.67, 144.92)},
}  # fmt: skip


def published(suite: int, row: str, column: str, dataset: str | None) -> float | None:
    """The paper's number; None if it prints none, or for other data."""
    values = PUBLISHED.get((suite, row), {}).get(column, ())
    return dict(zip(DATASETS, values, strict=False)).get(dataset or "")
