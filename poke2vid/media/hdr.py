"""High dynamic range and wide gamut to SDR: HLG and PQ of BT.2100, and BT.2020 or P3 primaries, as sRGB shows them.

    HLG   inverse OETF (BT.2100 table 5); scene light of which a signal of 75 % is white (BT.2408, 5.1: scene-light
          mapping); tone mapping; BT.2020 to BT.709 primaries; OETF of BT.709
    PQ    EOTF (BT.2100 table 4); display light of which 203 cd/m2 is white (BT.2408, 2.1); tone mapping; primaries;
          sRGB encoding, because pictures are sRGB everywhere else in this program
    SDR   of a wide gamut: sRGB decoding, primaries, sRGB encoding

Tone mapping is the curve of BT.2390 (5.4.1, its Hermite spline) on luminance: unchanged up to 92 cd/m2, that is 45 % of
white, and from there on bent so that the brightest light becomes white. What still lies outside the gamut is clipped.
"""

import functools
from typing import Literal

import numpy as np
from jaxtyping import Float32, UInt8, UInt16

Transfer = Literal["hlg", "pq", "sdr"]
Primaries = Literal["bt709", "bt2020", "p3"]

WHITE = 203.0  # cd/m2, HDR reference white of BT.2408, which becomes SDR's white
PQ_PEAK = 1000.0  # cd/m2: most content is graded for it; brighter light is clipped to it
HLG_WHITE = 0.75  # signal of reference white in HLG, BT.2408

# BT.2100 table 5
_A = 0.17883277
_B = 1 - 4 * _A
_C = 0.5 - _A * np.log(4 * _A)
# BT.2100 table 4 (SMPTE ST 2084)
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32

_CHROMATICITIES = {  # red, green, blue; all with the white of D65
    "bt709": ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    "bt2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    "p3": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
_D65 = (0.3127, 0.3290)


def to_sdr(signal: UInt16[np.ndarray, "h w 3"], transfer: Transfer, primaries: Primaries) -> UInt8[np.ndarray, "h w 3"]:
    """8-bit SDR picture of a 16-bit RGB signal of full range, of which 65535 is the signal 1.0."""
    light = _light_of_signal(transfer)[signal] @ _gamut_matrix(primaries).T  # BT.709 primaries; 1 is white
    if transfer != "sdr":
        # Luminance of BT.709 light is that of the wide gamut it came from, also where a channel is negative.
        luminance = light @ _to_xyz("bt709")[1]
        light = light * _gain(luminance, _peak(transfer))[..., None]
    encode = bt709_signal if transfer == "hlg" else srgb_signal
    return np.rint(encode(light.clip(0, 1)) * 255).astype(np.uint8)


def hlg_light(signal: Float32[np.ndarray, "*s"]) -> Float32[np.ndarray, "*s"]:
    """Inverse OETF of HLG: scene light in [0, 1]."""
    low, high = signal**2 / 3, (np.exp((np.maximum(signal, 0.5) - _C) / _A) + _B) / 12
    return np.where(signal <= 0.5, low, high).astype(np.float32)


def pq_light(signal: Float32[np.ndarray, "*s"]) -> Float32[np.ndarray, "*s"]:
    """EOTF of PQ: display light in cd/m2."""
    root = signal.astype(np.float64) ** (1 / _M2)
    return (10000 * (np.maximum(root - _C1, 0) / (_C2 - _C3 * root)) ** (1 / _M1)).astype(np.float32)


def pq_signal(light: Float32[np.ndarray, "*s"]) -> Float32[np.ndarray, "*s"]:
    """Inverse EOTF of PQ for light in cd/m2."""
    power = (light.astype(np.float64) / 10000) ** _M1
    return (((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2).astype(np.float32)


def tone_mapped(light: Float32[np.ndarray, "*s"], peak: float) -> Float32[np.ndarray, "*s"]:
    """BT.2390's curve from `peak` down to WHITE, for luminance in cd/m2."""
    top, most = (float(pq_signal(np.array([value], np.float32))[0]) for value in (peak, WHITE))
    ratio = most / top
    knee = 1.5 * ratio - 0.5
    level = (pq_signal(light) / top).clip(0, 1)
    t = ((level - knee) / (1 - knee)).clip(0, 1)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * ratio
    )  # a cubic of Hermite from the knee with slope 1 to the top with slope 0
    return np.where(level < knee, light, pq_light((spline * top).astype(np.float32))).astype(np.float32)


def srgb_light(signal: Float32[np.ndarray, "*s"]) -> Float32[np.ndarray, "*s"]:
    """Light of an sRGB signal, both in [0, 1] (IEC 61966-2-1)."""
    high = ((np.maximum(signal, 0.04045) + 0.055) / 1.055) ** 2.4
    return np.where(signal <= 0.04045, signal / 12.92, high).astype(np.float32)


def srgb_signal(light: Float32[np.ndarray, "*s"]) -> Float32[np.ndarray, "*s"]:
    """Inverse of `srgb_light`."""
    high = 1.055 * np.maximum(light, 0.0031308) ** np.float32(1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, 12.92 * light, high).astype(np.float32)


def bt709_signal(light: Float32[np.ndarray, "*s"]) -> Float32[np.ndarray, "*s"]:
    """OETF of BT.709 for scene light in [0, 1]."""
    return np.where(light < 0.018, 4.5 * light, 1.099 * np.maximum(light, 0.018) ** np.float32(0.45) - 0.099).astype(
        np.float32
    )


def _peak(transfer: Transfer) -> float:
    return PQ_PEAK if transfer == "pq" else WHITE / float(hlg_light(np.array([HLG_WHITE], np.float32))[0])


@functools.cache
def _light_of_signal(transfer: Transfer) -> Float32[np.ndarray, "65536"]:
    """Light of every 16-bit signal, 1 for SDR's white."""
    signal = (np.arange(65536) / 65535).astype(np.float32)
    match transfer:
        case "hlg":
            return hlg_light(signal) * np.float32(_peak("hlg") / WHITE)
        case "pq":
            return pq_light(signal).clip(0, PQ_PEAK) / np.float32(WHITE)
        case "sdr":
            return srgb_light(signal)


def _gain(luminance: Float32[np.ndarray, "h w"], peak: float) -> Float32[np.ndarray, "h w"]:
    """Factor by which tone mapping dims light of a luminance relative to white."""
    steps, gains = _gains(peak)
    return np.interp(luminance, steps, gains).astype(np.float32)


@functools.cache
def _gains(peak: float) -> tuple[Float32[np.ndarray, " n"], Float32[np.ndarray, " n"]]:
    steps = np.linspace(0.01, peak, 2048, dtype=np.float32)
    return steps / np.float32(WHITE), tone_mapped(steps, peak) / steps


@functools.cache
def _gamut_matrix(primaries: Primaries) -> Float32[np.ndarray, "3 3"]:
    """Light of other primaries to light of BT.709's, which all have the same white."""
    if primaries == "bt709":
        return np.eye(3, dtype=np.float32)
    return (np.linalg.inv(_to_xyz("bt709")) @ _to_xyz(primaries)).astype(np.float32)


@functools.cache
def _to_xyz(primaries: Primaries) -> Float32[np.ndarray, "3 3"]:
    """CIE XYZ of the light of three primaries that add up to white of luminance 1."""
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in _CHROMATICITIES[primaries]]).T
    x, y = _D65
    amounts = np.linalg.solve(columns, np.array([x / y, 1, (1 - x - y) / y]))
    return (columns * amounts).astype(np.float32)
