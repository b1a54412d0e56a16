"""The command line: the life of an application, from list and demo to train, predict, listen and export."""

import argparse
import contextlib
import difflib
import importlib
import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from apptemplates import __version__, _catalogue

REPORTS = (".html", ".json", ".md")
ANSWERS = (".csv", ".jsonl", ".parquet")
SOURCES = "a .csv, .tsv, .parquet, .jsonl (or .gz of one), a folder of pictures or sounds, or tfds:name"
DEMO = "apptemplates_demo"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the words after `apptemplates`; those of this process by default.

    Returns:
        0 when it went well, 1 when the data, a folder or a file were not right (one sentence on standard error says
        why), 130 when it was interrupted. Wrong usage ends the process with 2.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = build_parser(words).parse_args(words)
    try:
        return arguments.run(arguments) or 0
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except _told() as error:
        print(str(error).replace("\n", " "), file=sys.stderr)
        return 1


def _told() -> tuple[type[BaseException], ...]:
    """The errors whose message is for the user; any other is a defect and shows where it happened."""
    from apptemplates.data.schema import DataError
    from apptemplates.deploy.folder import ArchiveError

    told: list[type[BaseException]] = [DataError, ArchiveError, OSError, ChoiceError]
    for module, name in (("template", "NotFittedError"), ("training", "TrainingError")):
        loaded = sys.modules.get(f"apptemplates.{module}")
        if loaded is not None:
            told.append(getattr(loaded, name))
    return tuple(told)


class ChoiceError(ValueError):
    """A template can not be made with these choices."""


# ---- the words of each command ---------------------------------------------


def build_parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """The parser; the flags of a template are there only where `words` name one, since its class has to be loaded."""
    parser = argparse.ArgumentParser(
        prog="apptemplates",
        description="Ready-made deep-learning applications: your data in, a measured and saved model out.",
        epilog="`apptemplates COMMAND --help` says more; `apptemplates train NAME --help` lists a template's choices.",
    )
    parser.add_argument("--version", action="version", version=f"apptemplates {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Any, say: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=say, description=say[0].upper() + say[1:] + ".")
        added.set_defaults(run=run)
        return added

    command("list", run_list, "list the applications there are")
    name_of(command("show", run_show, "show what an application is for, and its choices"))
    demo = command("demo", run_demo, "fit, evaluate, save and predict on made-up data, in under three minutes")
    name_of(demo, default=_catalogue.ENTRIES[0].name)
    demo.add_argument("--folder", default=DEMO, help="where to put the report and the model (default: %(default)s)")

    new = command("new", run_new, "write a small project of your own, which runs at once on made-up data")
    name_of(new)
    new.add_argument("folder", help="a new place")

    check = command("check", run_check, "look for problems in data before time is spent on them")
    train = command("train", run_train, "learn from data and save the result as one folder")
    for added in (check, train):
        name_of(added)
        data_of(added, "records to learn from")
    report_of(check)
    check.add_argument("--validation", metavar="DATA", help="records that train is to be judged by")
    check.add_argument("--quick", action="store_true", help="without the short fit that tells what a whole one takes")
    train.add_argument("--save", required=True, metavar="FOLDER", help="new, or a saved template, which is replaced")
    train.add_argument("--checkpoint", metavar="FOLDER", help="goes on from here after a crash")
    learning_of(train)
    for added, name in ((check, "check"), (train, "train")):
        if words[:1] == [name] and (template := _named(words[1:2])) is not None:
            from apptemplates import choices

            choices.add_flags(added, template)

    finetune = command("finetune", run_finetune, "go on learning from more data")
    folder_of(finetune)
    data_of(finetune, "records to learn from")
    finetune.add_argument("--save", required=True, metavar="FOLDER", help="where to save the result")
    finetune.add_argument("--epochs", type=int, metavar="NUMBER", help="passes over the data at most")
    finetune.add_argument("--learning-rate", type=float, metavar="NUMBER", help="highest step size")
    finetune.add_argument("--size", type=int, metavar="PIXELS", help="a side of pictures, to go on with another size")
    learning_of(finetune)

    predict = command("predict", run_predict, "answer queries, on standard output or as a file")
    folder_of(predict)
    what = "queries, or several files of pictures or sounds, or - for lines of JSON or csv from a pipe"
    data_of(predict, what, several=True)
    predict.add_argument("--form", choices=("csv", "jsonl"), default="csv", help="of standard output (default: csv)")
    predict.add_argument(
        "--out", type=_file_ending(ANSWERS), metavar="FILE", help=f"file to write, ending in {', '.join(ANSWERS)}"
    )
    listen = command("listen", run_listen, "tell the commands in a recording, or live")
    folder_of(listen)
    listen.add_argument("sound", nargs="?", help="a recording; the microphone by default")
    evaluate = command("evaluate", run_evaluate, "measure how good the answers are")
    folder_of(evaluate)
    data_of(evaluate, "records with their truth")
    evaluate.add_argument(
        "--by", type=_columns, default=(), metavar="A,B,...", help="columns by whose groups the numbers are given too"
    )
    report_of(evaluate)
    explain = command("explain", run_explain, "tell what decided the answers")
    folder_of(explain)
    data_of(explain, "queries, or records with their truth")
    report_of(explain)
    export = command("export", run_export, "write the model in a form that other programs run")
    folder_of(export)
    export.add_argument("path", help="a new place")
    export.add_argument("--form", default="saved_model", help="saved_model, litert or onnx (default: %(default)s)")
    export.add_argument("--quantize", metavar="HOW", help="of litert: int8, full_int8, float16 or auto")
    export.add_argument(
        "--max-drop", type=float, default=0.01, metavar="NUMBER", help="loss of the headline, at most; 0.01"
    )
    export.add_argument("--records", metavar="DATA", help="held-out records with their truth, to measure the loss by")
    export.add_argument("--calibration", metavar="DATA", help="training records, by which full_int8 sets its ranges")
    ejected = command("eject", run_eject, "write the model as source of your own, which does without this package")
    folder_of(ejected)
    ejected.add_argument("path", help="a new place")
    ejected.add_argument("--share", action="store_true", help="leave records out of it")
    serve = command("serve", run_serve, "answer over HTTP, with a page to try it")
    serve.add_argument("folders", nargs="+", metavar="FOLDER", help="saved templates; each is called as its folder")
    serve.add_argument("--host", default="127.0.0.1", help="where to listen (default: %(default)s, this machine only)")
    serve.add_argument("--port", type=int, default=8000, help="(default: %(default)s)")
    serve.add_argument("--token", default=os.environ.get("APPTEMPLATES_TOKEN"), help="asked of every request")
    serve.add_argument("--journal", metavar="FOLDER", help="where observations are kept over restarts")
    name_of(command("check-template", run_check_template, "run the contract every application must hold"))
    return parser


def name_of(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Adds the name of an application."""
    known = ", ".join(entry.name for entry in _catalogue.ENTRIES)
    if default is None:
        parser.add_argument("name", type=_entry, metavar="NAME", help=f"one of {known}")
    else:
        parser.add_argument(
            "name", type=_entry, metavar="NAME", nargs="?", default=default, help=f"one of {known} (default: {default})"
        )


def folder_of(parser: argparse.ArgumentParser) -> None:
    """Adds the folder of a saved template."""
    parser.add_argument("folder", help="a saved template; load only folders you trust")


def data_of(parser: argparse.ArgumentParser, what: str, several: bool = False) -> None:
    """Adds the data."""
    parser.add_argument(
        "data",
        nargs="+" if several else None,
        help=f"{what}: a .csv, .tsv, .parquet, .jsonl (or .gz of one), a folder of pictures or sounds, or tfds:name",
    )


def report_of(parser: argparse.ArgumentParser) -> None:
    """Adds where to write the report."""
    parser.add_argument(
        "--report", type=_file_ending(REPORTS), metavar="FILE", help=f"file to write, ending in {', '.join(REPORTS)}"
    )


def learning_of(parser: argparse.ArgumentParser) -> None:
    """Adds what every kind of learning takes."""
    parser.add_argument("--minutes", type=float, metavar="NUMBER", help="wall clock; the best so far is kept")
    parser.add_argument("--validation", metavar="DATA", help="records to be judged by while learning")
    parser.add_argument("--share", action="store_true", help="leave records out of the saved folder")


def _entry(name: str) -> str:
    entry = _catalogue.find(name)
    if entry is None:
        names = [entry.name for entry in _catalogue.ENTRIES]
        lower = {known.lower(): known for known in names}
        close = difflib.get_close_matches(name.lower().replace("_", ""), lower, 1)
        hint = f"did you mean {lower[close[0]]}?" if close else f"there are {', '.join(names)}"
        raise argparse.ArgumentTypeError(f"there is no application {name!r}; {hint}")
    return entry.name


def _columns(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _file_ending(endings: tuple[str, ...]) -> Any:
    def read(path: str) -> Path:
        if Path(path).suffix.lower() not in endings:
            raise argparse.ArgumentTypeError(f"{path!r} must end in {', '.join(endings)}")
        if not Path(path).absolute().parent.is_dir():
            raise argparse.ArgumentTypeError(f"the folder of {path!r} is not there; make it first")
        return Path(path)

    return read


# ---- what each command does ------------------------------------------------


def run_list(arguments: argparse.Namespace) -> None:
    """Prints the catalogue."""
    width = max(len(entry.name) for entry in _catalogue.ENTRIES)
    for entry in _catalogue.ENTRIES:
        print(f"{entry.name:{width}}  {entry.answers}")


def run_show(arguments: argparse.Namespace) -> None:
    """Prints the card of an application and its choices."""
    from apptemplates import choices

    template = _load_class(arguments.name)
    card = template.card
    print(f"{template.__name__}: {card.answers}\n")
    for title, text in (("Not for", card.not_for), ("Data", card.data), ("Reference", card.reference)):
        print(f"{title}: {text}")
    print("\nChoices:")
    for name, meaning in choices.described(template).items():
        print(f"  {name}: {meaning}")


def run_demo(arguments: argparse.Namespace) -> None:
    """The whole life on made-up data."""
    console = _console()
    template = _load_class(arguments.name)
    from apptemplates.data.table import rows, take, to_frame
    from apptemplates.deploy.folder import check_place

    folder = Path(arguments.folder)
    check_place(arguments.name, (folder / "model").absolute())
    folder.mkdir(parents=True, exist_ok=True)
    app, records = template.demo()
    earlier, later = app.split(records)
    console.print(f"[bold]{template.__name__}[/]: {template.card.answers}")
    console.print(f"1. Learning from {rows(earlier):,} made-up records")
    app.fit(earlier, verbose=int(sys.stderr.isatty()))
    with console.status("2. Measuring on others"):
        report = app.evaluate(later, by=getattr(app, "sensitive", ()))
    console.print(f"2. Measured on {rows(later):,} others")
    _print_metrics(console, report)
    report.save(folder / "report.html")
    with console.status("3. Saving and loading"):
        app.save(folder / "model")
        app = template.load(folder / "model")
    console.print("3. Saved, loaded again, and asked:")
    asked = take(later, slice(5))
    shown = {name: asked[name] for name, field in app.query.items() if field.required}
    answers = {name: column.to_numpy() for name, column in app.predict(asked).items() if name != "problem"}
    _print_frame(console, to_frame(dict(list(shown.items())[:3]) | answers))
    console.print(f"Open [bold]{folder / 'report.html'}[/] in a browser. With your own data:")
    console.print(f"  apptemplates train {arguments.name} DATA --save FOLDER", highlight=False)
    console.print(f"  apptemplates train {arguments.name} --help", highlight=False)


def run_new(arguments: argparse.Namespace) -> None:
    """Writes a project."""
    from apptemplates import project

    template = _load_class(arguments.name)
    project.new(template, arguments.folder)
    print(f"made {arguments.folder}; put your data into {Path(arguments.folder) / 'data'}, then run")
    print(f"  python {Path(arguments.folder) / 'train.py'}")


def run_check(arguments: argparse.Namespace) -> int:
    """Prints the findings in data; 1 where one of them is an error."""
    app = _make(arguments)
    report = app.check(arguments.data, validation=arguments.validation, probe=not arguments.quick)
    _save_report(report, arguments)
    for finding in report.findings:
        print(f"{finding.severity}: {finding.place}: {finding.message} {finding.fix}")
    if not report.findings:
        print("nothing found")
    for name, value in report.notes.items():
        print(f"{name}: {value}")
    return int(any(finding.severity == "error" for finding in report.findings))


def run_train(arguments: argparse.Namespace) -> None:
    """Learns and saves; interrupted, it saves the best so far."""
    from apptemplates.deploy.folder import check_place

    check_place(arguments.name, Path(arguments.save).absolute())  # now, not after an hour of learning
    app = _make(arguments)
    app.fit(
        arguments.data,
        validation=arguments.validation,
        minutes=arguments.minutes,
        checkpoint=arguments.checkpoint,
    )
    _keep(app, arguments)


def run_finetune(arguments: argparse.Namespace) -> None:
    """Goes on learning and saves."""
    from apptemplates.deploy.folder import check_place

    check_place("finetune", Path(arguments.save).absolute())
    app = _load(arguments.folder)
    app.finetune(
        arguments.data,
        validation=arguments.validation,
        minutes=arguments.minutes,
        epochs=arguments.epochs,
        learning_rate=arguments.learning_rate,
        **({} if arguments.size is None else {"size": arguments.size}),
    )
    _keep(app, arguments)


def run_predict(arguments: argparse.Namespace) -> None:
    """Writes the answers; of several files each with its name."""
    from apptemplates import answers

    app, data = _load(arguments.folder), arguments.data
    if len(data) > 1 and (app._media is None or len(app.query) > 1):
        raise ChoiceError(
            f"predict: {app.name} takes one file or folder. Received: {len(data)}, {', '.join(data[:3])}."
        )
    parts = answers.piped(app, sys.stdin.buffer) if data == ["-"] else answers.answered(app, data)
    out = arguments.out
    form = f".{arguments.form}" if out is None else out.suffix.lower()
    if form == ".parquet":  # is written as a whole
        import pandas as pd

        frame = pd.DataFrame(list(itertools.chain.from_iterable(parts)))
        frame.to_parquet(out, index=False)
        _print_answered(len(frame), int((frame["problem"] != "").sum()), out)
        return
    first = next(parts)  # before anything is overwritten
    with contextlib.nullcontext(sys.stdout) if out is None else out.open("w", encoding="utf-8", newline="") as file:
        writer = answers.Writer(form, file)
        try:
            for part in itertools.chain([first], parts):
                writer.write(part)
        finally:
            if writer.problems or out is not None:
                _print_answered(writer.count, writer.problems, out)


def _print_answered(count: int, problems: int, out: Path | None) -> None:
    place = f" in {out}" if out is not None else ""
    print(f"{count:,} answers{place}, {problems:,} with a problem", file=sys.stderr)


def run_listen(arguments: argparse.Namespace) -> None:
    """Prints every command as soon as it is certain."""
    from apptemplates.data.schema import DataError
    from apptemplates.inference import microphone, sounds
    from apptemplates.inference.media import Undecodable

    app = _load(arguments.folder)
    if not hasattr(app, "listen"):
        raise ChoiceError(f"listen: {app.name} does not listen; save a VoiceCommandRecognizer there.")
    try:
        if arguments.sound is None:
            print("listening; Ctrl+C ends it", file=sys.stderr)
            chunks = microphone.chunks(app.rate)
        else:
            chunks = iter([sounds.decode(arguments.sound, app.rate)])
        for heard in app.listen(chunks, app.rate):
            print(f"{heard.time:8.2f} s  {heard.command}  {heard.probability:.2f}", flush=True)
    except Undecodable as error:
        raise DataError(str(error)) from error


def run_evaluate(arguments: argparse.Namespace) -> None:
    """Prints the numbers and the verdict."""
    report = _load(arguments.folder).evaluate(arguments.data, by=arguments.by)
    _print_metrics(_console(stderr=False), report)
    _save_report(report, arguments)


def run_explain(arguments: argparse.Namespace) -> None:
    """Prints what decided."""
    report = _load(arguments.folder).explain(arguments.data)
    console = _console(stderr=False)
    if report.table is not None:
        _print_frame(console, _strongest(report.table.head(20)))
    for sentence in report.verdict:
        console.print(sentence, highlight=False)
    _save_report(report, arguments)


def run_export(arguments: argparse.Namespace) -> None:
    """Writes another form of the model."""
    with _starting("Starting TensorFlow"):
        from apptemplates.deploy.export import check_choices

    given = arguments
    chosen = given.form, given.quantize, given.max_drop, given.records, given.calibration
    try:
        check_choices("export", *chosen)
    except ValueError as error:
        raise ChoiceError(str(error)) from None
    _load(arguments.folder).export(arguments.path, *chosen)
    print(f"exported to {arguments.path}", file=sys.stderr)


def run_eject(arguments: argparse.Namespace) -> None:
    """Writes the model as source."""
    _load(arguments.folder).eject(arguments.path, share=arguments.share)
    print(f"wrote {arguments.path}; python {Path(arguments.path) / 'predict.py'} QUERIES answers", file=sys.stderr)


def run_serve(arguments: argparse.Namespace) -> None:
    """Serves until it is stopped; what is being answered then is answered first."""
    from apptemplates.deploy.folder import place_of

    try:
        import uvicorn

        from apptemplates.deploy.serve import build
    except ImportError as error:
        raise ChoiceError(f"serve needs {error.name}; install apptemplates[serve].") from error
    places = [place_of(folder) for folder in arguments.folders]
    journal = None if arguments.journal is None else Path(arguments.journal)
    try:
        app = build(places, token=arguments.token, journal=journal)
    except ValueError as error:
        raise ChoiceError(str(error)) from error
    print(f"http://{arguments.host}:{arguments.port}/ answers for {', '.join(p.name for p in places)}", file=sys.stderr)
    uvicorn.run(app, host=arguments.host, port=arguments.port, log_level="warning", timeout_graceful_shutdown=20)


def run_check_template(arguments: argparse.Namespace) -> None:
    """Runs the contract over an application."""
    template = _load_class(arguments.name)
    from apptemplates.testing import check_template

    check_template(template)
    print(f"{template.__name__} keeps the contract")


# ---- shared ----------------------------------------------------------------


def _named(words: Sequence[str]) -> Any:
    entry = _catalogue.find(words[0]) if words else None
    return None if entry is None else _load_class(entry.name)


@contextlib.contextmanager
def _starting(what: str) -> Iterator[None]:
    """Says what takes a moment, while TensorFlow starts without a word."""
    from apptemplates.deploy.fast import quiet_stderr

    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _console().status(what), quiet_stderr():
        yield


def _load_class(name: str) -> Any:
    entry = _catalogue.find(name)
    assert entry is not None
    with _starting("Starting TensorFlow"):
        return getattr(importlib.import_module(f"apptemplates.templates.{entry.file}"), entry.name)


def _make(arguments: argparse.Namespace) -> Any:
    from apptemplates import choices

    template = _load_class(arguments.name)
    try:
        return template(**choices.chosen(arguments, template))
    except (TypeError, ValueError) as error:
        raise ChoiceError(str(error)) from error


def _load(folder: str) -> Any:
    from apptemplates.deploy import archive

    with _starting("Loading"):
        return archive.load(folder)


def _keep(app: Any, arguments: argparse.Namespace) -> None:
    with _console().status("Saving"):
        app.save(arguments.save, share=arguments.share)
    print(f"saved to {arguments.save}", file=sys.stderr)


def _save_report(report: Any, arguments: argparse.Namespace) -> None:
    if arguments.report is not None:
        report.save(arguments.report)
        print(f"report in {arguments.report}", file=sys.stderr)


def _console(stderr: bool = True) -> Any:
    from rich.console import Console

    if not stderr:
        return Console(highlight=False)
    # A descriptor of its own stays alive while `quiet_stderr` closes the ears to TensorFlow.
    return Console(file=open(os.dup(2), "w", encoding="utf-8"), highlight=False)


def _print_metrics(console: Any, report: Any) -> None:
    from rich.table import Table

    simple = report.baseline.get("metrics", {})
    table = Table("measure", "value", "95 % interval", f"baseline ({report.baseline.get('name', 'none')})")
    for name, metric in report.metrics.items():
        beside = f"{simple[name].value:.4g}" if name in simple else ""
        table.add_row(name, f"{metric.value:.4g}", f"{metric.low:.4g} to {metric.high:.4g}", beside)
    console.print(table)
    for sentence in report.verdict:
        console.print(sentence)


def _print_frame(console: Any, frame: Any) -> None:
    from rich.table import Table

    table = Table()
    for name in frame.columns:
        few = len(frame.columns) < 3
        table.add_column(str(name), no_wrap=not few, max_width=None if few else 40)
    for row in frame.itertuples(index=False):
        table.add_row(*(_shown(value) for value in row))
    console.print(table)


def _strongest(frame: Any, widest: int = 8, named: int = 3) -> Any:
    """A frame that a terminal has room for: of many columns of numbers the strongest of each row, by name."""
    if frame.shape[1] <= widest:
        return frame
    added = frame.iloc[:, 1:].select_dtypes("number")
    strongest = [row.reindex(row.abs().sort_values(ascending=False).index[:named]) for _, row in added.iterrows()]
    words = [", ".join(f"{name} {value:+.3g}" for name, value in row.items()) for row in strongest]
    return frame.iloc[:, :1].assign(**{"moved most by": words})


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return value.isoformat(" ", "seconds") if isinstance(value, datetime) else str(value)[:400]


if __name__ == "__main__":
    sys.exit(main())
