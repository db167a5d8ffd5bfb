"""Coverage of the 95 % intervals over clusters, on simulated clusters whose true mean or ratio is known.

    python benchmarks/coverage.py [--repeats N] [--out FILE]

Beside the package's interval (`measures/statistics.py`) stands the percentile bootstrap, the reference. Ratios have
log-normal denominators, which the numerators follow with exponential noise.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float64
from tqdm import tqdm

from poke2vid.files import atomic
from poke2vid.measures.statistics import cluster_ratio

COUNTS = (3, 4, 6, 8, 12, 20, 40)  # clusters
DRAWS = 2000  # of the percentile bootstrap

Pairs = Float64[np.ndarray, "n 2"]  # numerators and denominators


def _mean_of(draw: Callable[[int], np.ndarray]) -> Callable[[int], Pairs]:
    return lambda count: np.stack((draw(count), np.ones(count)), axis=1)


def distributions(rng: np.random.Generator) -> dict[str, tuple[Callable[[int], Pairs], float]]:
    """Samplers of clusters by name, and their true ratio of expectations."""

    def ratio(count: int) -> Pairs:
        below = rng.lognormal(0, 0.7, count)
        return np.stack((below * (1 + rng.exponential(1, count)), below), axis=1)

    return {
        "normal": (_mean_of(lambda n: rng.normal(0, 1, n)), 0.0),
        "exponential": (_mean_of(lambda n: rng.exponential(1, n)), 1.0),
        "log-normal": (_mean_of(lambda n: rng.lognormal(0, 1, n)), float(np.exp(0.5))),
        "ratio": (ratio, 2.0),
        "yes or no": (_mean_of(lambda n: rng.binomial(1, 0.3, n)), 0.3),  # as of one clip a video, hit or missed
    }


def percentile(pairs: Pairs, rng: np.random.Generator) -> tuple[float, float]:
    """Interval of the percentile bootstrap."""
    above, below = pairs[rng.integers(len(pairs), size=(DRAWS, len(pairs)))].sum(axis=1).T
    low, high = np.quantile(above / below, (0.025, 0.975))
    return float(low), float(high)


def covered(
    draw: Callable[[int], Pairs], true: float, count: int, repeats: int, rng: np.random.Generator
) -> list[float]:
    """Share of samples whose interval holds the truth: the package's, and the percentile bootstrap's."""
    hits = np.zeros(2)
    for repeat in range(repeats):
        pairs = draw(count)
        ours = cluster_ratio(*pairs.T.tolist(), [str(k) for k in range(count)], seed=repeat)
        low, high = percentile(pairs, rng)
        hits += (ours.low <= true <= ours.high, low <= true <= high)
    return (hits / repeats).tolist()


def main() -> None:
    """Prints one Markdown row a distribution."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1500, help="samples a cell")
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS, help="numbers of clusters")
    parser.add_argument("--only", nargs="+", help="names of distributions")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    table = {name: sampler for name, sampler in distributions(rng).items() if not args.only or name in args.only}
    lines = [
        f"Share of {args.repeats} samples whose 95 % interval holds the truth, in percent; in brackets: percentile bootstrap.",
        "",
        "| clusters | " + " | ".join(str(count) for count in args.counts) + " |",
        "|---" * (1 + len(args.counts)) + "|",
    ]
    with tqdm(total=len(table) * len(args.counts), unit="cell") as progress:
        for name, (draw, true) in table.items():
            cells = []
            for count in args.counts:
                ours, theirs = covered(draw, true, count, args.repeats, rng)
                cells.append(f"{100 * ours:.0f} ({100 * theirs:.0f})")
                progress.update()
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    print("\n".join(lines))
    if args.out:
        with atomic(args.out) as part:
            part.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
