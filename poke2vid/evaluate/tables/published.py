"""Numbers of the paper (Tab. 1-4), to stand beside ours where the data set is the published one."""

DATASETS: dict[str, str] = {
    "pp": "Poking-Plants", "iper": "iPER", "taichi": "Tai-Chi-HD", "h36m": "Human3.6m",
}  # fmt: skip
# (suite, row, column) -> data set -> value. FVD on I3D logits, ten frames, 1000 clips against 1000; LPIPS on VGG-16.
# iPER's PSNR of the full model is 23.49 in Tab. 3 and 23.11 in Tab. 4 (docs/decisions/018).
PUBLISHED: dict[tuple[int, str, str], dict[str, float]] = {
    (1, "SAVP", "FVD"): {"pp": 136.81, "iper": 150.39, "taichi": 309.62, "h36m": 160.32},
    (1, "IVRNN", "FVD"): {"pp": 184.54, "iper": 181.50, "taichi": 202.33, "h36m": 465.55},
    (1, "SRVP", "FVD"): {"pp": 283.90, "iper": 245.13, "taichi": 238.71, "h36m": 174.65},
    (1, "Ours", "FVD"): {"pp": 89.67, "iper": 144.92, "taichi": 171.74, "h36m": 107.73},
    (2, "Ours", "FVD"): {"pp": 137.78, "iper": 93.28, "taichi": 152.76, "h36m": 100.36},
    (2, "Ours", "lpips_vgg"): {"pp": 0.10, "iper": 0.06, "taichi": 0.12, "h36m": 0.08},
    (2, "Ours", "psnr"): {"pp": 20.68, "iper": 23.99, "taichi": 20.58, "h36m": 23.71},
    (2, "Ours", "ssim"): {"pp": 0.78, "iper": 0.91, "taichi": 0.75, "h36m": 0.92},
    (2, "Hao et al.", "FVD"): {"pp": 361.51, "iper": 235.08, "taichi": 341.79, "h36m": 259.92},
    (2, "Hao et al.", "lpips_vgg"): {"pp": 0.16, "iper": 0.11, "taichi": 0.12, "h36m": 0.10},
    (2, "Hao et al.", "psnr"): {"pp": 21.28, "iper": 21.09, "taichi": 20.41, "h36m": 22.81},
    (2, "Hao et al.", "ssim"): {"pp": 0.72, "iper": 0.88, "taichi": 0.78, "h36m": 0.93},
    (3, "Ours RNN", "lpips_vgg"): {"pp": 0.08, "iper": 0.07},
    (3, "Ours RNN", "psnr"): {"pp": 20.92, "iper": 23.02},
    (3, "Ours RNN", "FVD"): {"pp": 175.42, "iper": 250.64},
    (3, "Ours w/o L_traj", "lpips_vgg"): {"pp": 0.07, "iper": 0.05},
    (3, "Ours w/o L_traj", "psnr"): {"pp": 21.53, "iper": 22.82},
    (3, "Ours w/o L_traj", "FVD"): {"pp": 110.00, "iper": 203.26},
    (3, "Ours (single)", "lpips_vgg"): {"pp": 0.07, "iper": 0.06},
    (3, "Ours (single)", "psnr"): {"pp": 21.41, "iper": 23.09},
    (3, "Ours (single)", "FVD"): {"pp": 115.65, "iper": 220.82},
    (3, "Ours full", "lpips_vgg"): {"pp": 0.06, "iper": 0.05},
    (3, "Ours full", "psnr"): {"pp": 21.81, "iper": 23.49},
    (3, "Ours full", "FVD"): {"pp": 89.67, "iper": 144.92},
    (4, "N = 1", "lpips_vgg"): {"pp": 0.08, "iper": 0.07},
    (4, "N = 1", "psnr"): {"pp": 21.13, "iper": 22.62},
    (4, "N = 1", "FVD"): {"pp": 170.74, "iper": 233.22},
    (4, "N = 2", "lpips_vgg"): {"pp": 0.08, "iper": 0.06},
    (4, "N = 2", "psnr"): {"pp": 21.15, "iper": 23.12},
    (4, "N = 2", "FVD"): {"pp": 138.72, "iper": 178.52},
    (4, "Ours (N = 3)", "lpips_vgg"): {"pp": 0.06, "iper": 0.05},
    (4, "Ours (N = 3)", "psnr"): {"pp": 21.81, "iper": 23.11},
    (4, "Ours (N = 3)", "FVD"): {"pp": 89.67, "iper": 144.92},
}


def published(suite: int, row: str, column: str, dataset: str | None) -> float | None:
    """The paper's number; None if it prints none, or for other data."""
    return None if dataset is None else PUBLISHED.get((suite, row, column), {}).get(dataset)
