"""Brings a clip's sound to its loudness and keeps its peaks down, judged by the encoded file.

First a measurement; then one linear gain, and a limiter only where the gain would push peaks too high; then
the encoded result is measured, because AAC moves peaks, and gain and ceiling are corrected. The rounds are
bounded. Sound that cannot be that loud within its peak limit (a lone click) is made as loud as it gets and
said to be so.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from editai.clips.render import encoding
from editai.clips.render.runner import Meter
from editai.clips.render.spec import SAMPLE_RATE, Preset
from jobs.ffmpeg import file_url, input_args

# EBU R128 leaves out all that is quieter: nothing is left of silence.
GATE_LUFS = -70.0
TOLERANCE_LU = 0.5
# Aim below the limit: AAC adds peaks, and the measured value is rounded to 0.1.
PEAK_MARGIN_DB = 0.5
PEAK_ROUNDING_DB = 0.05
MAX_ROUNDS = 7
# Gain above the measured need. A limiter that takes more than this off makes noise of speech.
MAX_PUSH_DB = 18.0
LIMITER_RATE = 192_000
_INTEGRATED = re.compile(r"^\s+I:\s+(-?[\d.]+|-?inf|nan) LUFS", re.MULTILINE)
_SAMPLES = re.compile(r"Number of samples: (\d+)")
_COUNT = "astats=measure_perchannel=none:measure_overall=Number_of_samples"
_PEAK = re.compile(r"^\s+Peak:\s+(-?[\d.]+|-?inf|nan) dBFS", re.MULTILINE)


@dataclass(frozen=True)
class Loudness:
    """`lufs`: integrated, None for silence and for sound too short to measure; `true_peak`: dBTP, None for none.

    `samples`: length of what was measured, per channel.
    """

    lufs: float | None
    true_peak: float | None
    samples: int


@dataclass(frozen=True)
class Levelled:
    """`measured` on the encoded file; `is_limited`: the peak limit kept the sound from its loudness."""

    measured: Loudness
    is_limited: bool


@dataclass(frozen=True)
class _Setting:
    """`gain` in dB; `ceiling` in dBTP, None without limiter."""

    gain: float
    ceiling: float | None


def measure(sounds: Sequence[Path], meter: Meter, *, seconds: float) -> Loudness:
    """Integrated loudness and true peak (EBU R128) of files that follow each other, to 0.1 dB.

    Decodes sound only. Raises FfmpegError.
    """
    args = ["-v", "info", *_inputs(sounds)]
    args += ["-filter_complex", f"{_lined_up(sounds)},{_COUNT},ebur128=peak=true:framelog=quiet[out]"]
    stderr = meter.run([*args, "-map", "[out]", "-f", "null", "-"], duration=seconds).stderr
    return read_summary(stderr)


def read_summary(text: str) -> Loudness:
    """Read what ffmpeg's ebur128 and astats print at their end. Raises ValueError when there is nothing."""
    integrated, peak, count = _INTEGRATED.findall(text), _PEAK.findall(text), _SAMPLES.findall(text)
    if not integrated or not peak or not count:
        raise ValueError("no loudness summary")
    lufs, decibel = float(integrated[-1]), float(peak[-1])
    return Loudness(
        lufs=lufs if math.isfinite(lufs) and lufs > GATE_LUFS else None,
        true_peak=decibel if math.isfinite(decibel) else None,
        samples=int(count[-1]),
    )


def level(
    sounds: Sequence[Path],
    out: Path,
    preset: Preset,
    samples: int,
    meter: Meter,
    report: Callable[[float], None],
) -> Levelled:
    """Encode the float WAVs `sounds`, one after the other, as AAC into `out` (m4a), at the preset's loudness.

    `samples`: exact length. Raises FfmpegError.
    """
    seconds = samples / SAMPLE_RATE
    raw = measure(sounds, meter, seconds=seconds)
    report(0.2)
    setting = _first_setting(raw, preset)
    best: tuple[tuple[bool, float], Loudness] | None = None
    candidate = out.with_name(f"{out.stem}-try{out.suffix}")
    previous: tuple[float, float] | None = None
    for number in range(MAX_ROUNDS):
        meter.run(_encode(sounds, candidate, preset, samples, setting), duration=seconds)
        result = measure([candidate], meter, seconds=seconds)
        report(0.2 + 0.8 * (number + 1) / MAX_ROUNDS)
        rank = _rank(result, preset)
        if best is None or rank < best[0]:
            best = rank, result
            candidate.replace(out)
        if not rank[0] and rank[1] <= TOLERANCE_LU:
            break
        following = _next_setting(setting, raw, result, preset, previous)
        if following is None:
            break
        if result.lufs is not None:
            previous = setting.gain, result.lufs
        setting = following
    candidate.unlink(missing_ok=True)
    report(1.0)
    assert best is not None  # the first round always gives one
    return Levelled(best[1], is_limited=best[0][1] > TOLERANCE_LU * 2)


def peak_is_fine(found: Loudness, preset: Preset) -> bool:
    return found.true_peak is None or found.true_peak <= preset.peak_dbtp - PEAK_ROUNDING_DB


def _rank(found: Loudness, preset: Preset) -> tuple[bool, float]:
    """Lower is better: peaks first, then the distance to the loudness."""
    distance = 0.0
    if preset.loudness_lufs is not None and found.lufs is not None:
        distance = abs(found.lufs - preset.loudness_lufs)
    return not peak_is_fine(found, preset), distance


def _first_setting(raw: Loudness, preset: Preset) -> _Setting:
    gain = 0.0
    if preset.loudness_lufs is not None and raw.lufs is not None:
        gain = preset.loudness_lufs - raw.lufs
    return _limited(_Setting(gain, None), raw, preset.peak_dbtp - PEAK_MARGIN_DB)


def _limited(setting: _Setting, raw: Loudness, ceiling: float) -> _Setting:
    """With a limiter if the gain brings the peak above the ceiling."""
    above = raw.true_peak is not None and raw.true_peak + setting.gain > ceiling
    return replace(setting, ceiling=ceiling if above else None)


def _next_setting(
    setting: _Setting,
    raw: Loudness,
    result: Loudness,
    preset: Preset,
    previous: tuple[float, float] | None,
) -> _Setting | None:
    """Correct by what the encoded file showed; None when nothing more can be gained."""
    ceiling = setting.ceiling if setting.ceiling is not None else preset.peak_dbtp - PEAK_MARGIN_DB
    is_too_high = not peak_is_fine(result, preset)
    if is_too_high and result.true_peak is not None:
        ceiling -= result.true_peak - preset.peak_dbtp + 0.2
    gain = setting.gain
    if preset.loudness_lufs is not None and result.lufs is not None and raw.lufs is not None:
        missing = preset.loudness_lufs - result.lufs
        slope = 1.0
        if previous is not None and abs(setting.gain - previous[0]) > 0.01:
            # a working limiter gives back less than the gain that is put in
            slope = (result.lufs - previous[1]) / (setting.gain - previous[0])
            if missing > 0 and slope < 0.02 and not is_too_high:
                return None
        gain += missing / min(1.0, max(0.2, slope))
        gain = min(gain, preset.loudness_lufs - raw.lufs + MAX_PUSH_DB)
    following = _limited(_Setting(gain, None), raw, ceiling)
    if is_too_high:
        following = replace(following, ceiling=ceiling)
    return None if following == setting else following


def _encode(sounds: Sequence[Path], out: Path, preset: Preset, samples: int, setting: _Setting) -> list[str]:
    parts = [_lined_up(sounds)]
    if setting.gain:
        parts.append(f"volume={setting.gain:.3f}dB:precision=float")
    if setting.ceiling is not None:
        # four times the rate shows the peaks between the samples
        linear = max(0.0625, min(1.0, 10 ** (setting.ceiling / 20)))
        parts.append(
            f"aresample={LIMITER_RATE},alimiter=limit={linear:.6f}:attack=5:release=50:level=false:latency=true,"
            f"aresample={SAMPLE_RATE}"
        )
    parts.append(f"apad=whole_len={samples},atrim=end_sample={samples}[out]")
    args = [*_inputs(sounds), "-filter_complex", ",".join(parts), "-map", "[out]"]
    return [*args, *encoding.sound(preset), "-flags", "+bitexact", "-f", "mp4", file_url(out)]


def _inputs(sounds: Sequence[Path]) -> list[str]:
    return [word for sound in sounds for word in ["-vn", *input_args(sound)]]


def _lined_up(sounds: Sequence[Path]) -> str:
    """The start of a graph: the files one after the other."""
    streams = "".join(f"[{n}:a:0]" for n in range(len(sounds)))
    return f"{streams}concat=n={len(sounds)}:v=0:a=1"
