"""Every benchmark runs, and writes what it says it writes; the facts in it that are no timings are checked."""

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import programs
import pytest
from browser import found_chromium

from poke2vid.simulator.availability import missing_requirements

pytestmark = pytest.mark.slow
BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
MACHINE = {"cpu", "cores", "threads", "torch", "date", "load_before", "cores_used_by_others", "quiet"}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Runner of a benchmark in its quick mode; gives its JSON and its page."""
    folder = tmp_path_factory.mktemp("results")

    @cache
    def run(name: str) -> tuple[dict[str, Any], str]:
        done = programs.run(BENCHMARKS / f"{name}.py", "--quick", "--out", folder)
        assert done.returncode == 0, done.stderr[-3000:]
        values = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        return values, (folder / f"{name}.md").read_text(encoding="utf-8")

    return run


def numbers(value: Any) -> list[float]:
    """Every number in a JSON value."""
    if isinstance(value, dict):
        return [number for part in value.values() for number in numbers(part)]
    if isinstance(value, list):
        return [number for part in value for number in numbers(part)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []


def check(values: dict[str, Any], page: str) -> None:
    assert values["machine"].keys() >= MACHINE
    found = numbers({name: part for name, part in values.items() if name != "machine"})
    assert found
    assert all(map(math.isfinite, found))
    assert values["machine"]["cpu"] in page


def test_evaluation_is_held_against_the_same_networks_called_bare(results: Any) -> None:
    values, page = results("evaluate")
    check(values, page)
    assert values["models"]["small64"].keys() == {"LPIPS, tracks"}
    for result in values["models"]["small64"].values():
        assert result["ms_a_clip"].keys() == {"evaluate", "bare", "networks", "trackers"}
    assert len(values["whole"]) == 1 and all(100 < part["memory_mb"] < 3000 for part in values["whole"].values())


def test_the_clip_critics_designs_are_compared_on_what_is_taken_away(results: Any) -> None:
    values, page = results("clip_critic")
    check(values, page)
    cases = {
        f"{d}, R1 {r}, {t}" for d in ("spectral", "literal") for r in ("0.0", "0.1") for t in ("still", "half", "blur")
    }
    assert values["scores"].keys() == cases
    assert all(0 <= score <= 1 for scores in values["scores"].values() for score in scores)


def test_the_simulator_is_compared_with_drawing_alone(results: Any) -> None:
    if missing := missing_requirements():
        pytest.skip(missing[0])
    values, page = results("simulate")
    check(values, page)
    assert values["families"].keys() == {"plants", "figures", "objects", "cabinets"}
    for result in values["families"].values():
        assert result["frames_over_drawing"]["median"] > 0


def test_unsound_scenes_are_counted_by_family(results: Any) -> None:
    if missing := missing_requirements():
        pytest.skip(missing[0])
    values, page = results("stability")
    check(values, page)
    assert [sum(counts.values()) for counts in values["outcomes"].values()] == [1, 1, 1, 1]


def test_prepare_is_compared_with_decoding_alone_at_both_sizes(results: Any) -> None:
    values, page = results("prepare")
    check(values, page)
    assert values["by_resolution"].keys() == {"64", "128"}
    for result in values["by_resolution"].values():
        assert result["frames"] == values["frames"]
        assert result["prepare_over_decode"].keys() == {"median", "low", "high", "cpu"}
        assert {
            "decode and resize",
            "flow over the lag",
            "flow between neighbours (motion)",
            "write and hash",
        } <= result["share"].keys()
        assert sum(result["share"].values()) == pytest.approx(1)


def test_animate_is_compared_with_the_released_model_as_networks_and_as_sessions(results: Any) -> None:
    values, page = results("animate")
    check(values, page)
    (result,) = values["by_resolution"]["64"].values()
    for part in (result["network"], result["session"]):
        assert part["times_faster"].keys() == part["timings"].keys() >= {"released, eager", "paper64"}
        assert part["times_faster"]["released, eager"]["median"] == 1


def test_a_training_step_is_divided_into_stages_without_remainder(results: Any) -> None:
    values, page = results("train_step")
    check(values, page)
    (result,) = values["settings"].values()
    assert sum(result["share"].values()) == pytest.approx(1)
    assert sum(result["stages"].values()) == pytest.approx(result["seconds_a_step"])
    networks = {
        "generator, forward",
        "generator, backward",
        "perceptual features, forward",
        "perceptual features, backward",
        "critics, their own step",
        "critics for the generator, forward",
        "critics for the generator, backward",
    }
    assert networks | {"data", "optimiser", "logging"} <= result["stages"].keys()
    assert all(result["stages"][name] > 0 for name in networks)


def gates_input_half(clips: int) -> int:
    """FLOPs of the first cell's three gates over their input: 3 x 3 kernels, 512 to 3 x 512 channels, 16 x 16 cells."""
    return 2 * clips * 9 * 512 * (3 * 512) * 16 * 16


def test_the_counted_wastes_are_what_they_are_by_hand(results: Any) -> None:
    values, page = results("waste")
    check(values, page)
    result = values["by_resolution"]["64"]
    clips, frames = result["clips"], result["frames"]
    wastes = {name: waste["flops"] for name, waste in result["wastes"].items()}
    assert all(flops > 0 for name, flops in wastes.items() if name != "single_gates")

    # forward, and backward to input and weight, at every step but one
    assert wastes["phi_every_step"] == 3 * (frames - 1) * gates_input_half(clips)
    assert wastes["single_gates"] == 0
    assert result["wastes"]["single_gates"]["convolutions"] > 0

    # G at 64 pixels: ResBlock 512 -> 256 at 16 x 16, up to 128 at 32 and to 128 at 64, then RGB (kernels of 3 x 3)
    in_block = (512 * 256 + 256 * 256 + 512 * 256) * 16**2
    up_32 = 2 * 512 * 128 * 16**2 + 128 * 128 * 32**2
    up_64 = 2 * 256 * 128 * 32**2 + 128 * 128 * 64**2
    decoder = 2 * 9 * (in_block + up_32 + up_64 + 128 * 3 * 64**2)
    assert wastes["decoded_truth"] == decoder * clips * frames

    # VGG-19's own weights: as many FLOPs backward as its convolutions up to relu5_2 take forward, for the predicted side
    widths = [(3, 64, 64), (64, 64, 64), (64, 128, 32), (128, 128, 32), (128, 256, 16), *[(256, 256, 16)] * 3]
    widths += [(256, 512, 8), *[(512, 512, 8)] * 3, *[(512, 512, 4)] * 2]
    vgg = sum(2 * 9 * c_in * c_out * side**2 for c_in, c_out, side in widths)
    assert wastes["vgg_gradients"] == vgg * clips * frames
    both_sides, two_layers = 2, 2
    assert wastes["vgg_tail"] == both_sides * two_layers * 2 * 9 * 512 * 512 * 4**2 * clips * frames


def test_our_step_has_none_of_the_counted_wastes(results: Any) -> None:
    values, _ = results("waste")
    result = values["by_resolution"]["64"]
    saved = sum(waste["flops"] for waste in result["wastes"].values())
    assert result["mended"]["flops"] == result["released"]["flops"] - saved
    assert result["ours"]["flops"] == result["mended"]["flops"]
    assert result["ours"]["convolutions"] < result["mended"]["convolutions"]


def test_a_picture_that_nobody_touches_stays_with_the_law_of_rest_and_creeps_without(results: Any) -> None:
    values, page = results("drift")
    check(values, page)
    laws = values["drift"]["small64"]
    assert laws["law of rest"]["untouched"] == [0.0] * len(values["frames"])
    assert laws["F alone"]["untouched"][-1] > 0
    assert laws["law of rest"]["let go"][-1] < laws["F alone"]["let go"][-1]
    assert laws["law of rest"]["held"][:2] == laws["F alone"]["held"][:2]  # the paper's step, for as long as any clip
    assert laws["law of rest"]["held"][2] < laws["F alone"]["held"][2]


def test_live_engines_are_held_against_eager_pytorch(results: Any) -> None:
    values, page = results("live")
    check(values, page)
    model = values["models"]["small64"]["threads"]["1"]
    assert model["steps"]["timings"].keys() == model["latency"].keys() == {"torch, eager", "ONNX Runtime"}
    assert model["steps"]["times_faster"]["torch, eager"]["median"] == 1
    assert all(0 < wait["p50_ms"] <= wait["p95_ms"] for wait in model["latency"].values())


def test_graphs_stay_with_their_model(results: Any) -> None:
    values, page = results("graphs")
    check(values, page)
    largest = values["largest"]["small64, in the package"]
    assert max(largest["fp32"]) < max(largest["fp16"]) < 0.5


def test_coverage_is_a_table_beside_the_percentile_bootstrap(tmp_path: Path) -> None:
    done = programs.run(BENCHMARKS / "coverage.py", "--repeats", "20", "--counts", "4", "--out", tmp_path / "table.md")
    assert done.returncode == 0, done.stderr[-3000:]
    rows = [line.split("|") for line in (tmp_path / "table.md").read_text(encoding="utf-8").splitlines() if "(" in line]
    assert [row[1].strip() for row in rows if len(row) == 4] == [
        "normal",
        "exponential",
        "log-normal",
        "ratio",
        "yes or no",
    ]


def test_the_server_keeps_every_client_and_its_memory(results: Any) -> None:
    values, page = results("serve")
    check(values, page)
    assert values["dropped"] == []


def test_the_first_picture_is_timed_from_a_cold_load(results: Any) -> None:
    found_chromium()
    values, page = results("first_picture")
    check(values, page)
    [load] = values["loads"]["desktop"]
    assert 0 < load["picture_ms"] < load["pokeable_ms"]


def test_the_page_is_held_against_a_program(results: Any) -> None:
    found_chromium()
    values, page = results("live_browser")
    check(values, page)
    model = values["models"]["touch128"]
    assert model["step_ms"] > 0 and model["native_ms"] > 0
    assert 0 < model["touch_ms"]["p50"] <= model["touch_ms"]["p95"]
    for rate in ("at_25", "fastest"):
        assert all(0 < one["latencyP50"] <= one["latencyP95"] and one["frames_per_second"] > 0 for one in model[rate])
