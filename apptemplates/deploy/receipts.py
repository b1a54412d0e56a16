"""What was measured of an exported form: how far it is from the template, what that costs, how large and fast it is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from apptemplates.data.table import Table, concat, rows, take
from apptemplates.deploy.folder import ArchiveError
from apptemplates.deploy.rows import Call, parts
from apptemplates.deploy.rows import asked as apart
from apptemplates.evaluation import cost, intervals
from apptemplates.evaluation.metrics import LOWER_IS_BETTER

SAMPLES = 200  # records by which the ranges of whole numbers are set
MEGABYTES = 64  # of held-out trials that stay in memory at most
UNJUDGED = "a saved folder keeps no records to measure it by; give records= (--records) with their truth"
AT_ONCE = 256  # rows that a form is asked at a time which takes several


@dataclass
class Kept:
    """Some trials that `fit` held out, and some queries it learned from; they live in memory and in no folder.

    Args:
        truth, inputs, clusters: Of the trials.
        learned: Prepared queries of training records.
        again: Whether it has learned from the trials, too, once the decision was built.
    """

    truth: Table
    inputs: Table
    clusters: np.ndarray | None
    learned: Table
    again: bool = False

    @classmethod
    def of(cls, app: Any, truth: Table, inputs: Table, clusters: np.ndarray | None, learned: Table) -> "Kept":
        """As many of these trials as judge an exported form and take no more than `MEGABYTES`; `SAMPLES` queries."""
        row = sum(column.nbytes for column in inputs.values()) / max(1, rows(truth))
        kept = drawn(rows(truth), int(min(app.asked_apart, MEGABYTES * 1e6 / max(1.0, row))))
        clusters = None if clusters is None else clusters[kept]
        return cls(take(truth, kept), take(inputs, kept), clusters, few(learned))


@dataclass(frozen=True)
class HeldOut:
    """Trials that a form is judged by, what the template answers to them, and where they come from."""

    truth: Table
    inputs: Table
    clusters: np.ndarray | None
    answers: Table
    origin: str


def held_out(app: Any, source: Any) -> HeldOut:
    """The trials by which a form is judged.

    Args:
        app: The template.
        source: Records with their truth; or what `fit` kept.

    Raises:
        DataError: They can not be read, or hold no truth.
        ArchiveError: The graph is not what answers them.
    """
    from apptemplates.evaluation.assess import make_trials

    trials: Any
    if isinstance(source, Kept):
        trials, origin = source, "held out by fit, learned from in the end" if source.again else "held out by fit"
    else:
        trials, origin = make_trials(app, app._read(source), ()), "given"
    judged = drawn(rows(trials.truth), app.asked_apart)
    inputs, truth = take(trials.inputs, judged), take(trials.truth, judged)
    clusters = None if trials.clusters is None else trials.clusters[judged]
    asked(app, take(inputs, slice(1)))
    return HeldOut(truth, inputs, clusters, app.respond(inputs, app.call_, app.state_), origin)


def samples(app: Any, source: Any) -> Table:
    """What the graph is asked while some training records are answered, by which ranges are set.

    Args:
        app: The template.
        source: The records, of which as many are drawn as are needed; or what `fit` kept.

    Raises:
        DataError: They can not be read, or hold no truth.
        ArchiveError: The graph is not what answers them.
    """
    from apptemplates.evaluation.assess import make_trials

    inputs = source.learned if isinstance(source, Kept) else make_trials(app, app._read(source), ()).inputs
    return asked(app, few(inputs))


def drawn(count: int, most: int) -> np.ndarray:
    """Which rows are taken, in order: all of them, or so many."""
    return np.sort(np.random.default_rng(0).permutation(count)[:most])


def asked(app: Any, inputs: Table) -> Table:
    """What the graph is asked while these prepared queries are answered, `SAMPLES` rows at most."""
    kept: list[Table] = []

    def call(queries: Table) -> Any:
        kept.append({name: queries[name] for name in app.model_.input})
        if sum(map(rows, kept)) > 4 * SAMPLES:  # a text asks again and again, with all that it has read
            kept[:] = [few(concat(kept))]
        return app.call_(queries)

    app.respond(inputs, call, app.state_)
    if not kept:
        raise ArchiveError(
            f"{type(app).__name__}: answers to held-out records do not come from the graph that is exported, so what "
            "becomes of them can not be measured; leave records and quantize out."
        )
    return few(concat(kept))


def few(queries: Table) -> Table:
    """`SAMPLES` of these rows at most."""
    return take(queries, drawn(rows(queries), SAMPLES))


def receipt(
    app: Any,
    form: str,
    quantize: str | None,
    folder: Path,
    call: Call,
    expected: Table,
    found: Table,
    judged: HeldOut | None,
) -> dict[str, Any]:
    """The receipt as plain values.

    Args:
        app: The template.
        form, quantize: What was written.
        folder: Where.
        call: What it answers to prepared queries.
        expected, found: Raw answers of the template, and of the form, to the golden queries.
        judged: Trials to measure the headline by, or None.
    """
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    singles = parts(app.golden_)
    took = cost.latency(call, singles, repeats=100)
    told = {
        "template": type(app).__name__,
        "form": form,
        "quantize": quantize,
        "queries": len(singles),
        "largest difference": {
            name: largest(expected[name], found[name]) for name in expected if expected[name].dtype.kind == "f"
        },
        "megabytes": round(size / 1e6, 3),
        **{name: round(value, 4) for name, value in took.items()},
        "items_per_second": round(cost.throughput(lambda: [call(one) for one in singles], len(singles)), 1),
    }
    if judged is None:
        return told | {"headline not measured": UNJUDGED}
    return told | {"headline": change(app, call, judged, 1 if form == "litert" else AT_ONCE)}


def change(app: Any, call: Call, judged: HeldOut, step: int = 1) -> dict[str, Any]:
    """What becomes of the headline metric, with the 95 % interval of the change, and how much of it is lost."""
    answers = app.respond(judged.inputs, lambda inputs: apart(call, inputs, step), app.state_)
    before, after = app.score(judged.truth, judged.answers), app.score(judged.truth, answers)
    name = app.headline if app.headline in before else next(iter(before))
    moved = intervals.difference(app.score, judged.truth, answers, judged.answers, judged.clusters)[name]
    return {
        "name": name,
        "records": rows(judged.truth),
        "origin": judged.origin,
        "template": round(before[name], 5),
        "here": round(after[name], 5),
        "change": [round(number, 5) for number in moved],
        "lost": round(max(0.0, moved.value if name in LOWER_IS_BETTER else -moved.value), 5),
    }


def notes(kept: dict[str, Any]) -> dict[str, str]:
    """A receipt as a line of the template's report."""
    name, head = f"exported as {kept['form']}, {kept['quantize'] or 'float'}", kept.get("headline")
    far = max(kept["largest difference"].values(), default=0.0)
    told = (
        f"{kept['megabytes']:.2f} MB; raw answers differ by {far:.1g} at most; "
        f"one answer {kept['p50_ms']:.2f} ms (p99 {kept['p99_ms']:.2f}), {kept['items_per_second']:,.0f} a second"
    )
    if head:
        told += f"; {head['name']} {head['here']:.4f} instead of {head['template']:.4f} on {head['records']:,} records "
        told += "({:+.4f}, {:+.4f} to {:+.4f})".format(*head["change"])
    else:
        told += f"; {kept['headline not measured']}"
    return {name: told}


def page(app: Any, tried: list[dict[str, Any]], kept: dict[str, Any]) -> str:
    """The receipts as a page to read."""
    lines = [
        f"# {app.card.title}, as {kept['form']}",
        "",
        app.card.answers,
        "",
        f"**Not for:** {app.card.not_for}",
        "",
        "| | largest difference | headline | change (95 % interval) | MB | p50, p99 of one answer | answers a second |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in tried:
        name = one["quantize"] or "float"
        if "refused" in one:
            lines.append(f"| {name} | refused: {one['refused']} | | | | | |")
            continue
        head = one.get("headline")
        far = max(one["largest difference"].values(), default=0.0)
        said = f"{head['name']} {head['here']:.4f}" if head else "not measured"
        moved = "{:+.4f} ({:+.4f} to {:+.4f})".format(*head["change"]) if head else ""
        mark = f"**{name}**" if one is kept else name
        spent = f"{one['p50_ms']:.3f}, {one['p99_ms']:.3f} ms"
        lines.append(
            f"| {mark} | {far:.2g} | {said} | {moved} | {one['megabytes']} | {spent} | {one['items_per_second']:,.0f} |"
        )
    judged = kept.get("headline")
    lines += [
        "",
        f"Differences are those of raw answers to {kept['queries']} made-up queries, from the template's own"
        + (
            f"; the headline is of {judged['records']:,} held-out records ({judged['origin']})."
            if judged
            else f". The headline was not measured: {UNJUDGED}."
        ),
        "`receipt.json` holds the same numbers.",
        "",
    ]
    return "\n".join(lines)


def largest(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference of two arrays; 0 of empty ones."""
    return float(np.abs(one.astype("float64") - other).max(initial=0.0))
