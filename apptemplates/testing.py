"""What every template must do, as checks that anyone can run on a template of their own."""

import dataclasses
import hashlib
import inspect
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from apptemplates.contract import Answers, Card, Contract
from apptemplates.data.schema import DataError, Schema
from apptemplates.data.table import Table, rows, take
from apptemplates.evaluation import randomised
from apptemplates.template import NotFittedError, Template


class Case:
    """A template class with its demo data, fitted and saved once for all checks.

    It learns in a quarter of the demo's passes: no check asks how good the answers are.

    Args:
        cls: The template class.
    """

    def __init__(self, cls: type[Template]) -> None:
        self.cls = cls
        app, self.records = cls.demo()
        self.fresh = app.clone(epochs=max(1, app.epochs // 4))
        self.train, self.test = self.fresh.split(self.records)

    @cached_property
    def app(self) -> Any:
        """The fitted template."""
        return self.fresh.clone().fit(self.train, verbose=0)

    @cached_property
    def saved(self) -> Path:
        """The folder that the fitted template was saved to; it is there as long as this case."""
        self._place = tempfile.TemporaryDirectory()
        folder = Path(self._place.name) / "saved"
        self.app.save(folder)
        return folder

    @cached_property
    def queries(self) -> Table:
        """Questions made of the held-out records; these themselves where a record is a query."""
        if type(self.app).prepare_records is Contract.prepare_records:
            return self.test
        return self.app.make_trials(self.app.record.check("demo", self.test)[0])[0]

    @cached_property
    def answers(self) -> Any:
        """The answers to these questions, as a DataFrame."""
        return self.app.predict(self.queries)


def check_template(cls: type[Template], tell: Callable[[str], None] = lambda line: None) -> None:
    """Runs every check on a template class.

    Args:
        cls: A class that inherits from `Template` alone and has `demo`.
        tell: Is given one line for each check that holds.

    Raises:
        AssertionError: The first check that does not hold, with what was expected.
    """
    case = Case(cls)
    for check in CHECKS:
        check(case)
        tell(f"{cls.__name__}: {inspect.getdoc(check)}")


def expect(holds: Any, message: str) -> None:
    """Raises AssertionError with the message unless it holds (also under `python -O`)."""
    if not holds:
        raise AssertionError(message)


def refuses(error: type[Exception], call: Callable[[], Any], *words: str) -> None:
    """Expects an error whose one line of text holds all the words."""
    try:
        call()
    except error as caught:
        text = str(caught)
        expect("\n" not in text, f"an error message should be one sentence. Received: {text!r}")
        for word in words:
            expect(word in text, f"an error message should name {word!r}. Received: {text!r}")
        return
    raise AssertionError(f"expected {error.__name__} naming {', '.join(words)}; nothing was raised")


def same(one: Any, other: Any, tolerance: float) -> None:
    """Expects two frames of answers to agree: numbers within a tolerance, the rest where no number decides it."""
    for name in one:
        ours, theirs = numbers(one[name]), numbers(other[name])
        if ours is not None and theirs is not None:
            np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance, err_msg=name)
        elif one[name].dtype.kind != "b":  # a flag may turn where its score lies at the threshold
            expect((one[name].astype(str) == other[name].astype(str)).all(), f"answers differ in {name!r}")


def numbers(column: Any) -> np.ndarray | None:
    """The numbers of a column of them, or of lists of them (also as text); None of any other."""
    if column.dtype.kind == "f":
        return np.asarray(column)
    if not all(isinstance(value, list) or str(value).startswith("[") for value in column):
        return None
    try:
        lists = [value if isinstance(value, list) else json.loads(value) for value in column]
    except json.JSONDecodeError:
        return None
    flat = [number for values in lists for number in values]
    return np.array(flat, "float64") if flat and all(isinstance(number, float) for number in flat) else None


def check_declared(case: Case) -> None:
    """It is one final dataclass with a card, and every field is documented."""
    cls = case.cls
    expect(cls.__bases__ == (Template,), f"{cls.__name__} must inherit from Template alone, not {cls.__bases__}")
    fields = {field.name for field in dataclasses.fields(cls)}
    expect(
        set(inspect.get_annotations(cls)) <= fields, f"{cls.__name__}: an annotation is no field; forgot @dataclass?"
    )
    expect(isinstance(cls.card, Card) and all(vars(cls.card).values()), f"{cls.__name__}: the card has an empty part")
    said = inspect.getdoc(cls) or ""
    common = {field.name for field in dataclasses.fields(Template)}
    missing = [name for name in inspect.get_annotations(cls) if name not in common and f"{name}:" not in said]
    expect(not missing, f"{cls.__name__}: the docstring does not describe {', '.join(missing)}")
    for verb in VERBS:
        expect(getattr(cls, verb) is getattr(Template, verb) or verb == "load", f"{cls.__name__} overrides {verb}")


VERBS = ("check", "fit", "finetune", "predict", "predict_one", "evaluate", "explain", "save", "export", "get_params")


def check_params(case: Case) -> None:
    """Its choices survive JSON and clone, and a misspelt one is refused with the nearest name."""
    app, cls = case.fresh, case.cls
    again = cls(**json.loads(json.dumps(app.get_params())))
    expect(again.get_params() == app.get_params(), "get_params does not give the same template back")
    expect(app.clone(epochs=7).epochs == 7 and app.get_params() == again.get_params(), "clone changed the original")
    refuses(TypeError, lambda: cls(**{**app.get_params(), "epohcs": 3}), "epohcs", "'epochs'")
    refuses(ValueError, lambda: app.clone(epochs=0), "epochs", cls.__name__)
    refuses(NotFittedError, lambda: app.clone().predict(case.queries), cls.__name__, "fit")


def check_answers(case: Case) -> None:
    """Rows in are rows out, in their order, with the columns that `answer` says, and queries are left as they were."""
    app, answers, count = case.app, case.answers, rows(case.queries)
    expect(list(answers) == list(app.answer), f"answers have {list(answers)}, `answer` says {list(app.answer)}")
    expect(len(answers) == count, f"{count} queries gave {len(answers)} answers")
    expect((answers["problem"] == "").all(), f"a good query has a problem: {answers['problem'].max()}")
    before = {name: column.copy() for name, column in case.queries.items()}
    app.predict(case.queries)
    for name, column in before.items():
        np.testing.assert_equal(case.queries[name], column, err_msg=f"predict changed the queries: {name!r}")
    alone = take(case.queries, np.array([0]))
    same(app.predict(alone), answers.iloc[:1], 1e-5)
    refuses(DataError, lambda: app.predict(take(case.queries, slice(0))), "no rows")
    for name, field in app.query.items():
        if field.required:
            less = {n: column for n, column in case.queries.items() if n != name}
            refuses(DataError, partial(app.predict, less), repr(name), case.cls.__name__)


def check_problems(case: Case) -> None:
    """A query that can not be answered has empty values and a reason, and the others are answered as before."""
    app = case.app
    needed = [name for name, field in app.query.items() if field.required and not field.missing]
    if not needed:
        return
    spoilt = {name: column.copy() for name, column in take(case.queries, slice(3)).items()}
    column = np.empty(3, object)  # a row a query, also where rows are pictures or sounds
    for row in range(2):
        column[row] = spoilt[needed[0]][row]
    spoilt[needed[0]] = column
    answers = app.predict(spoilt)
    expect(len(answers) == 3, "a bad row was dropped")
    reason = answers["problem"].iloc[2]
    expect(needed[0] in reason, f"the reason does not name {needed[0]!r}: {reason!r}")
    same(app.predict(take(case.queries, slice(2))), answers.iloc[:2], 1e-5)


def check_one(case: Case) -> None:
    """`predict_one` gives the same answer as `predict`, through the fast path, and raises where it can not answer."""
    app = case.app
    query = {name: column[0] for name, column in case.queries.items()}
    answer = app.predict_one(query)
    expect(list(answer) == list(app.answer), f"predict_one gave {list(answer)}, `answer` says {list(app.answer)}")
    whole = app.predict(take(case.queries, slice(1))).iloc[0]
    for name, value in answer.items():
        if isinstance(value, float):
            np.testing.assert_allclose(value, whole[name], rtol=1e-4, atol=1e-4, err_msg=name)
    needed = [name for name, field in app.query.items() if field.required]
    if needed:
        refuses(DataError, lambda: app.predict_one({n: v for n, v in query.items() if n != needed[0]}), needed[0])


def check_score(case: Case) -> None:
    """`score` is pure, and `figures` are captioned matplotlib figures."""
    from matplotlib.figure import Figure

    app = case.app
    queries, truth = app.make_trials(app.record.check("demo", case.test)[0])
    answers: Answers = app._answers(queries)
    before = {name: column.copy() for name, column in answers.items()}
    once, twice = app.score(truth, answers), app.score(truth, answers)
    np.testing.assert_equal(once, twice, err_msg="score is not pure")
    expect(all((before[n] == answers[n]).all() for n in before if n != "problem"), "score changed the answers")
    expect(app.headline in once, f"score gives no {app.headline!r}")
    for picture in app.figures(truth, answers):
        expect(isinstance(picture, Figure) and picture.get_label(), "figures must be matplotlib figures with a label")


def check_report(case: Case) -> None:
    """`evaluate` gives intervals, a baseline, a verdict of three sentences, and one page that fetches nothing."""
    report = case.app.evaluate(case.test)
    value, low, high = report.metrics[case.app.headline]
    expect(low <= value <= high, f"the interval {low}..{high} does not hold {value}")
    expect(report.baseline["metrics"], "the report has no baseline")
    expect(len(report.verdict) == 3 and all(s.endswith(".") for s in report.verdict), f"the verdict: {report.verdict}")
    with tempfile.TemporaryDirectory() as folder:
        for ending in (".html", ".json", ".md"):
            report.save(Path(folder) / f"report{ending}")
        page = (Path(folder) / "report.html").read_text()
        json.loads((Path(folder) / "report.json").read_text())
    expect(case.app.card.title in page, "the page does not name the application")
    expect("<script src" not in page and 'src="http' not in page, "the page fetches things from elsewhere")


def check_explanation(case: Case) -> None:
    """`explain` gives a table with a row a query, figures, and says how far to trust it."""
    some = take(case.queries, slice(24))
    report = case.app.explain(some)
    expect(report.kind == "explanation" and len(report.table) == rows(some), "explain must give a row for each query")
    expect(report.figures and report.verdict, "explain must give figures and say how far to trust them")
    for way in ("deletion", "insertion"):
        told = [name for name in report.notes if name.startswith(way) and name.endswith("better than random by")]
        expect(told, f"explain must say by how much it is better than random orders ({way})")
    expect(randomised.NOTE in report.notes, "attributions are missing, so that shuffled weights show nothing")
    expect(report.notes[randomised.NOTE].value < 0.9, "the explanation stays the same when the weights are shuffled")


def fresh_process(code: str) -> subprocess.CompletedProcess[str]:
    """What a program says in a process of its own."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def check_saved(case: Case) -> None:
    """A saved folder gives the same answers in a fresh process, holds no pickle, and opens in Keras' safe mode."""
    import keras

    folder = case.saved
    with tempfile.TemporaryDirectory() as place:
        queries = Path(place) / "queries.npz"
        keras.saving.load_model(folder / "model.keras", safe_mode=True, compile=False)
        for file in folder.glob("*.np?"):
            with zipfile.ZipFile(file) as archive:
                for member in archive.namelist():
                    with archive.open(member) as stream:
                        expect(b"'O'" not in stream.read(128), f"{file.name} holds Python objects ({member})")
        texts = {n: c.astype(str) if c.dtype == object else c for n, c in case.queries.items()}
        np.savez(queries, **texts)  # type: ignore[arg-type]
        answers = Path(place) / "answers.csv"
        module = inspect.getmodule(case.cls)
        assert module is not None
        code = (
            f"import numpy, sys; sys.path.insert(0, {str(Path(module.__file__ or '.').parent)!r})\n"
            f"from {module.__name__} import {case.cls.__name__} as Template\n"
            f"queries = dict(numpy.load({str(queries)!r}))\n"
            f"frame = Template.load({str(folder)!r}).predict(queries)\n"
            f'frame.to_csv({str(answers)!r}, index=False, float_format="%.9g")\n'
        )
        done = fresh_process(code)
        expect(done.returncode == 0, f"a fresh process could not load it: {done.stderr[-600:]}")
        import pandas

        same(case.answers, pandas.read_csv(answers, keep_default_na=False), 1e-6)


def check_shared(case: Case) -> None:
    """`save(share=True)` leaves out every record."""
    with tempfile.TemporaryDirectory() as place:
        case.app.save(Path(place) / "shared", share=True)
        again = case.cls.load(Path(place) / "shared")
        kept = again.pack_state(share=False)
        words = {str(value) for column in case.train.values() if column.dtype == object for value in column}
        used = {word for word in words if any(word in column.astype(str) for column in kept.values())}
        expect(not used, f"a shared folder still holds {sorted(used)[:3]}")


def check_finetune(case: Case) -> None:
    """`finetune` changes the app, never the folder it came from."""
    before = digest(case.saved)
    again = case.cls.load(case.saved)
    again.finetune(case.test, epochs=1, verbose=0)
    expect(digest(case.saved) == before, "finetune changed the folder the app came from")
    changed = again.predict(case.queries)
    pairs = [(numbers(changed[name]), numbers(case.answers[name])) for name in changed]
    told = [not np.array_equal(after, before) for after, before in pairs if after is not None and before is not None]
    expect(any(told), "finetune changed no answer")
    same(case.app.predict(case.queries), case.answers, 1e-6)


def digest(folder: Path) -> str:
    """SHA-256 over the files of a folder."""
    total = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        total.update(file.name.encode() + file.read_bytes())
    return total.hexdigest()


def check_repeatable(case: Case) -> None:
    """One seed gives one model."""
    again = case.fresh.clone().fit(case.train, verbose=0)
    same(again.predict(case.queries), case.answers, 1e-3)


def check_exported(case: Case) -> None:
    """An exported form answers as the template does, and its receipt is judged by what `fit` held out."""
    form = "litert" if case.app._fast().form == "litert" else "saved_model"
    with tempfile.TemporaryDirectory() as place:
        made = case.app.export(Path(place) / "made", form)
        told = json.loads((made / "receipt.json").read_text())
    head = told.get("headline", {})
    expect(head.get("records"), "the receipt has no headline, though `fit` held records out")
    expect(head["lost"] <= 1e-3 * max(1.0, abs(head["template"])), f"the {form} form loses of the headline: {head}")


def check_nothing_lost(case: Case) -> None:
    """A fit that fails leaves the fitted template as it was."""
    target = getattr(case.app, case.app.target, None)
    if target is None or target not in case.train:
        return
    without: Table = {name: column for name, column in case.train.items() if name != target}
    refuses(DataError, lambda: case.app.fit(without, verbose=0), repr(target), case.cls.__name__)
    same(case.app.predict(case.queries), case.answers, 1e-6)


def check_data(case: Case) -> None:
    """`check` finds nothing fatal in the demo data, and its schemas survive JSON."""
    report = case.fresh.check(case.records)
    fatal = [finding.message for finding in report.findings if finding.severity == "error"]
    expect(report.kind == "check" and not fatal, f"check calls the demo data unusable: {fatal}")
    expect(
        "fit would take" in report.notes and len(report.verdict) > 1, f"check does not foresee a fit: {report.notes}"
    )
    for schema in (case.app.record, case.app.query, case.app.answer):
        again = Schema.from_json(json.loads(json.dumps(schema.to_json())))
        expect(again == schema, "a schema does not survive JSON")


CHECKS: tuple[Callable[[Case], None], ...] = (
    check_declared,
    check_params,
    check_data,
    check_answers,
    check_problems,
    check_one,
    check_score,
    check_report,
    check_explanation,
    check_saved,
    check_shared,
    check_exported,
    check_finetune,
    check_repeatable,
    check_nothing_lost,
)
