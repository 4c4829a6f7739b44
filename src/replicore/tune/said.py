"""What tuning does and finds, in sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from replicore.bench.report.words import decimal, milliseconds, percent
from replicore.bench.selfcheck.verdict import Kind
from replicore.bench.sweep.cells import Cell
from replicore.hardware.cpu_sheet import CpuSheet
from replicore.planner.plan import Forecast
from replicore.tune.belief import Belief, Candidate
from replicore.tune.loop import End, Run
from replicore.tune.tuned import Trial, Tuned
from replicore.wording import pluralize

# Probabilities are not known any better than this.
_SUREST = 0.99


def about_cores(sheet: CpuSheet) -> str:
    """Return what a CPU can do in a line."""
    one, every = sheet.bytes_per_s[0] / 1e9, sheet.bytes_per_s[-1] / 1e9
    when = f"measured {sheet.measured_on}" if sheet.measured_on else sheet.source
    return (
        f"{sheet.name}, {pluralize(sheet.cores, 'core')}: {decimal(one)} GB/s from memory with one "
        f"core, {decimal(every)} with all, {decimal(sheet.flops[0] / 1e9)} GFLOP/s a core, "
        f"all-reduce {decimal(sheet.link_latency_s * 1e6)} us ({when})"
    )


def predicted(one: Candidate) -> str:
    """Return a prediction with its interval, in which it is in 80 % of cases."""
    service = one.service
    times = f"TTFT {_forecast_ms(service.ttft_s)}, TPOT {_forecast_ms(service.tpot_s)} ms"
    return f"{_forecast(service.tokens_per_s)} output tok/s, {times}"


def _forecast(found: Forecast) -> str:
    return f"{decimal(found.value)} ({decimal(found.low)}–{decimal(found.high)})"


def _forecast_ms(found: Forecast | None) -> str:
    if found is None:
        return "too busy to say"
    return f"{milliseconds(found.value)} ({milliseconds(found.low)}–{milliseconds(found.high)})"


def measured(trial: Trial) -> str:
    """Return what was measured, each number with its distance from the prediction."""
    cell, service = trial.cell, trial.predicted.service
    found = [
        f"{decimal(cell.rate)} output tok/s{_off(cell.rate, service.tokens_per_s)}",
        f"TTFT {_measured_ms(cell.ttft_s.mean, service.ttft_s)}",
        f"TPOT {_measured_ms(cell.tpot_s.mean, service.tpot_s)} ms",
    ]
    return f"{', '.join(found)}; {met(cell)}"


def met(cell: Cell) -> str:
    """Return whether a run met the objectives, and what it broke."""
    broken = [one for one in cell.attained if not one.met]
    if not broken:
        return "meets the objectives"
    return "; ".join(f"{percent(one.share)} {_within(one.name)}, not 99%" for one in broken)


def _within(name: str) -> str:
    return "answered" if name == "answered" else f"within the {name} limit"


def _measured_ms(seconds: float | None, forecast: Forecast | None) -> str:
    return "-" if seconds is None else f"{milliseconds(seconds)}{_off(seconds, forecast)}"


def _off(value: float, forecast: Forecast | None) -> str:
    error = error_of(value, forecast)
    return "" if error is None else f" ({error:+.0%})"


def error_of(value: float | None, forecast: Forecast | None) -> float | None:
    """Return how far a measured value is from the predicted one, as a share of that."""
    if value is None or forecast is None or forecast.value <= 0:
        return None
    return value / forecast.value - 1


def why_next(step: Run, belief: Belief) -> str:
    """Return why a layout is run next."""
    best = belief.proven
    if best is None:
        return f"the best that is believed to meet the objectives{_likely(step.candidate)}"
    likely = f"{chance(step.beats)} likely to be better than {best.size}"
    return f"{likely} ({decimal(best.tokens_per_s)} output tok/s)"


def believed(belief: Belief) -> str:
    """Return what is believed now."""
    pick = belief.pick
    if pick.measured is not None:
        return f"{pick.size} is the best, and measured"
    expected = f"{decimal(pick.tokens_per_s)} output tok/s are expected of it{_likely(pick)}"
    best = belief.proven
    if best is None:
        return f"{pick.size} is the best, not measured yet: {expected}"
    return f"{pick.size} is better than {best.size} ({decimal(best.tokens_per_s)}): {expected}"


def _likely(one: Candidate) -> str:
    """Return how likely the objectives are met, unless there are none."""
    return "" if one.service.meets == 1 else f" ({chance(one.service.meets)} likely)"


def chance(probability: float) -> str:
    """Return a probability as people read it; never none and never all of it.

    >>> chance(0.314), chance(0.9999), chance(0.0001)
    ('31%', '> 99%', '< 1%')
    """
    if probability > _SUREST:
        return f"> {_SUREST:.0%}"
    return f"< {1 - _SUREST:.0%}" if probability < 1 - _SUREST else f"{probability:.0%}"


def headline(tuned: Tuned) -> str:
    """Return the sentence that names the layout to use, or says why there is none."""
    belief = tuned.belief
    if belief is None:
        return f"no layout could be used: {tuned.stop.why}"
    best = belief.proven
    if best is not None:
        return f"use {best.size}: {decimal(best.tokens_per_s)} output tok/s measured; {_end(tuned)}"
    if not tuned.trials:
        return f"nothing was measured; {believed(belief)}"
    closest = max(tuned.trials, key=lambda t: min(one.share for one in t.cell.attained)).cell
    return (
        f"no layout that was measured meets the objectives; closest: {closest}, {met(closest)}; "
        f"{_end(tuned)}"
    )


def _end(tuned: Tuned) -> str:
    rival = unproven(tuned)
    return f"{tuned.stop.why}, and {rival}" if rival else tuned.stop.why


def unproven(tuned: Tuned) -> str:
    """Return which layout may be better than the best that was measured; empty where none may."""
    belief, ended = tuned.belief, tuned.stop.end in (End.FOUND, End.HOPELESS)
    if belief is None or belief.following is None or ended:
        return ""
    other = belief.candidates[belief.following.index].size
    return f"{other} may be better with {chance(belief.following.beats)}"


def uncompiled(sizes: Sequence[str]) -> str:
    """Return that layouts are left out because they are not compiled."""
    return (
        f"{pluralize(len(sizes), 'layout')} left out, such as {sizes[0]}: not compiled; "
        "--compile tries them too"
    )


def economy(tuned: Tuned) -> str:
    """Return how many of the layouts were run."""
    runnable = 0 if tuned.belief is None else len(tuned.belief.candidates)
    total = runnable + len(tuned.failed)
    made = len(tuned.trials)
    return f"{made} of {pluralize(total, 'layout')} {'was' if made == 1 else 'were'} run"


def notes(tuned: Tuned) -> list[str]:
    """Return what must be known to believe the result, one sentence each."""
    return [*_failed(tuned), *_simulated(tuned), *_doubtful(tuned)]


def _failed(tuned: Tuned) -> Iterator[str]:
    for size, message in tuned.failed.items():
        yield f"{size} failed: {message}"


def _simulated(tuned: Tuned) -> Iterator[str]:
    if tuned.simulated:
        yield "simulated: these numbers are of no real engine"


def _doubtful(tuned: Tuned) -> Iterator[str]:
    fine = (Kind.VALID, Kind.TOO_FEW_SAMPLES)
    for trial in tuned.trials:
        for verdict in trial.cell.verdicts:
            if verdict not in fine:
                yield f"the run of {trial.cell.layout} is {verdict}; its own file says why"
