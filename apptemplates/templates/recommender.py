"""What next, for whom, and why: a network of sequences or of sets, blended with a closed form where that helps."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import keras
import numpy as np

from apptemplates import arguments
from apptemplates.contract import WEIGHT, Answers, Card, Part, Stage
from apptemplates.data import batches, histories, interactions, item_features, preflight, splits, synthetic_shop
from apptemplates.data.readers import read
from apptemplates.data.schema import DataError, Field, Schema
from apptemplates.data.table import Table, rows, take
from apptemplates.deploy import fast
from apptemplates.evaluation import blended_rankings, ranking, ranking_figures, ranking_reports, simple_rankings
from apptemplates.evaluation.blended_rankings import Before, Blend
from apptemplates.evaluation.diagnosis import Growing
from apptemplates.evaluation.simple_rankings import Closed, Judged
from apptemplates.inference import recommender as inference
from apptemplates.inference.recommender import Catalogue, Histories, Limits
from apptemplates.layers import item_learning, item_networks
from apptemplates.layers import ranking as graph
from apptemplates.template import Template

LONGEST = 2048  # places of a history that a query can have
TRIED = 100_000_000  # users times items up to which a network of sets is tried beside one of sequences


@dataclass(kw_only=True, eq=False)
class Recommender(Template):
    """Ranks what somebody will take next, from what everybody took so far, and says because of what.

    With times it learns what follows what (a self-attentive network trained on every step over all items), without them
    what goes with what (variational autoencoders over everybody's items). The network is blended with a closed form
    (EASE, or nearest items), the share of each chosen on held-out interactions; either may win altogether.

    Asked for a user it knows, or for a bare `history` of items, it leaves out what was taken already. Items that nobody
    took yet are ranked and understood by their features (`describe`); who took nothing gets what is popular.

    Args:
        user: Column that says who.
        item: Column that says what was taken.
        time: Column with the time of it; or None. For lines of "user item item ..." in the order of time: "place".
        rating: Column that says how well it was liked; or None, where all that was taken counts as liked.
        scale: Lowest and highest rating; 1 to 5 by default.
        liked: From which rating on an item counts as liked; by default the middle of the scale. What was not liked is
            neither learned from nor recommended again.
        item_features: Columns that describe an item, in the table of interactions or in one given to `describe`.
        k: How many items are recommended, and judged by.
        learns: "sequences" (needs times) or "sets"; by default sets without times, and with them both are learned, and
            the one that ranks the held-out interactions better is kept (of more than 100 million users times items,
            sequences alone).
        hold_out: What it is judged by while learning: "time", the latest tenth of all interactions (without times a
            tenth of each user's); "last", the last one of each user; "some", a tenth of each user's.
        refit: Learn anew from all interactions once the held-out ones have told how long to learn.

    Example:
        >>> app, purchases = Recommender.demo()
        >>> list(app.fit(purchases, verbose=0).predict_one({"history": ["item-0010", "item-0011"]}))
        ['items', 'scores', 'because', 'source', 'problem']

    Reference: Kang and McAuley, 2018, arXiv:1808.09781; Liang et al., 2018, arXiv:1802.05814; Steck, 2019,
    arXiv:1905.03375.
    """

    user: str = "user"
    item: str = "item"
    time: str | None = None
    rating: str | None = None
    scale: list[float] | None = None
    liked: float | None = None
    item_features: tuple[str, ...] = ()
    k: int = 20
    learns: str | None = None
    hold_out: str = "time"
    refit: bool = True
    epochs: int = 60

    card = Card(
        title="Recommender",
        answers="What will somebody take next, and because of what?",
        not_for="Decisions that should not follow the crowd, such as news, credit or medicine; and people who took "
        "nothing yet, who get only what is popular.",
        reference="Kang and McAuley, 2018, arXiv:1808.09781; Liang et al., 2018, arXiv:1802.05814; Steck, 2019, "
        "arXiv:1905.03375",
        data="Who took what, when there are times when, and what the items are like.",
    )
    target = ""  # nothing is labelled
    lesson = "items"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.learned_: dict[str, Any] = {}
        self._old: Before | None = None  # in finetune, where the folder kept nobody's history
        interactions.refuse_choices(self.name, vars(self))
        roles = ("user", "item", "time", "rating", "item_features")
        arguments.one_role_each(self.name, {role: getattr(self, role) for role in roles})

    @classmethod
    def demo(cls) -> tuple[Self, Table]:
        choices: dict[str, Any] = {"k": 10, "learns": "sequences", "epochs": 8, "batch_size": 64}
        app = cls(time="time", item_features=("category", "price"), **choices)
        return app, synthetic_shop.purchases(250, 100)

    # ---- what goes in and comes out ----------------------------------------

    def _own_columns(self, table: Table) -> Schema:
        """The item's features with the kinds they seem to be of."""
        described = {} if self.before_ is None else dict(self.before_.described)
        return item_features.guessed(self.item_features, described | table)

    @property
    def _features(self) -> Schema:
        return item_features.fields(self.item_features, self.columns_)

    @property
    def record(self) -> Schema:
        fields = {
            self.user: Field("who took it", "id", named=True),
            self.item: Field("what was taken", "id", named=True),
        }
        if self.time is not None:
            fields[self.time] = Field("when it was taken", "time", role="time")
        if self.rating is not None:
            low, high = interactions.scale_of(self.scale)
            fields[self.rating] = Field("how well it was liked", low=low, high=high, role="rating")
        return Schema.of(fields | self._features)

    @property
    def query(self) -> Schema:
        some: dict[str, Any] = {"required": False, "missing": True}
        listed = {**some, "kind": "category", "several": True, "ordered": True, "longest": 500_000}
        return Schema.of(
            {
                self.user: Field("who is asked for", "id", **some),
                "history": Field("items taken so far, the latest last", **listed),
                "k": Field("how many items", **some),
                "exclude": Field("items to leave out instead of those taken", **listed),
                "candidates": Field("the only items to choose from", **listed),
            }
        )

    @property
    def answer(self) -> Schema:
        return Schema(
            items=Field("what to recommend, the best first", "text"),
            scores=Field("how far above the average item, in standard deviations", "text"),
            because=Field("for each of the first 20, the taken ones that speak most for it", "text"),
            source=Field("what the answer is put down to: user, history, features or popularity", "text"),
            problem=Field("why there is no answer", "text", missing=True),
        )

    @property
    def headline(self) -> str:  # type: ignore[override]
        return f"NDCG@{self.k}"

    @property
    def patience(self) -> int | None:  # type: ignore[override]
        return self._kind.patience

    @property
    def baseline_name(self) -> str:  # type: ignore[override]
        return str(self.learned_["closed"]["kind"])

    @property
    def catalogue(self) -> Catalogue:
        """The items it can recommend."""
        kept = self.__dict__.get("_catalogue")
        if kept is None or kept.names is not self.learned_["items"]:
            kept = self._catalogue = Catalogue(self.learned_["items"], self.learned_["learned"])
        return kept

    @property
    def _limits(self) -> Limits:
        return inference.limits(self.learned_["places"], self.k, len(self.catalogue))

    def prepare(self, queries: Table, state: Histories) -> Table:
        return inference.prepare(queries, self.user, state, self.catalogue, self._limits)

    def prepare_records(self, records: Table, state: Histories) -> Table:
        return {"row": np.arange(rows(records))}  # what is learned from are histories, which `make_batches` makes

    def respond(self, inputs: Table, call: Any, state: Histories) -> Answers:
        return inference.respond(inputs, call, len(self.catalogue))

    # ---- the past ----------------------------------------------------------

    def open_state(self, arrays: Table) -> Histories:
        return Histories.of(arrays)

    def close_state(self, state: Histories, share: bool) -> Table:
        return {} if share else state.arrays()

    def remember(self, records: Table, state: Histories) -> Histories:
        times = None if self.time is None else records[self.time].astype("int64")
        least = interactions.least_liked(self.scale, self.liked)
        liked = None if self.rating is None else records[self.rating] >= least
        described = {name: records[name] for name in self.item_features if name in records}
        return state.describing(records[self.item], described).added(
            records[self.user], records[self.item], times, liked
        )

    def observe(self, records: Any) -> Self:
        """Adds interactions to what users took, without learning from them.

        Args:
            records: A table of interactions. Items that are new are ranked by their features, where these are given.
        """
        table, _ = self.record.check(self.name, read(records))
        return self._knowing(self.remember(table, self._state))

    def describe(self, items: Any) -> Self:
        """Tells what items are like, also such as nobody took yet: from then on they are recommended, too.

        Args:
            items: A table with a row for each item: its name (the column `item`) and the columns `item_features`.
        """
        if not self.item_features:
            raise ValueError(f"{self.name}: describe needs item_features=, the names of columns that describe an item.")
        table = read(items)
        if not self.is_fitted and not len(self.columns_):
            self.columns_ = item_features.guessed(self.item_features, table)
        schema = Schema.of({self.item: Field("what it is called", "id")} | self._features)
        table, _ = schema.check(self.name, table)
        described = {name: table[name] for name in self.item_features if name in table}
        return self._knowing(self._state.describing(table[self.item], described))

    @property
    def _state(self) -> Histories:
        return self.open_state({}) if self.state_ is None else self.state_

    def _knowing(self, state: Histories) -> Self:
        """With this state; items that it describes and nobody took yet can be recommended from now on."""
        self.state_ = state
        if not self.is_fitted:
            self.before_ = state
            return self
        known = set(self.learned_["items"])
        new = [name for name in state.described_names() if name not in known]
        if new:
            blend = self._blend
            self.learned_["items"] = [*self.learned_["items"], *new]
            self._build(blend)
        return self

    # ---- how it learns -----------------------------------------------------

    def split(self, records: Table) -> tuple[Table, Table]:
        self._refuse(records)
        kept = take(records, interactions.first_ones(records, self.user, self.item, self.time))
        # also what was taken for the first time among the held-out ones can be recommended
        liked = histories.liked_names(self.remember(kept, self._state))
        known = self.learned_["items"] if "learned" in self.learned_ else []  # their rows stay, also in finetune
        self.learned_["items"] = list(dict.fromkeys([*known, *liked]))
        return interactions.hold_out(kept, self.user, self.time, self.hold_out, self.seed)

    def portion(self, records: Table) -> tuple[Table, float]:
        return splits.portion(records, 30_000, self.seed, self.user)

    def _inspect(self, records: Table) -> list[preflight.Finding]:
        # of times only the order counts, so that places in a line are as good as dates
        found = [finding for finding in super()._inspect(records) if finding.code != "times-near-1970"]
        return preflight.in_order([*found, *interactions.odd_users(records, self.user)])

    def _refuse(self, records: Table) -> None:
        if WEIGHT in records:
            raise DataError(f"{self.name}: sample_weight is not used; name a column of ratings with rating= instead.")
        interactions.refuse(self.name, records, self.user, self.item)

    @property
    def _kind(self) -> item_learning.Sequences | item_learning.Sets:
        """The way in which the network learns."""
        return item_learning.KINDS[self.learned_["kind"]](self.name, self.learned_["learned"], self.seed)

    def ways(self, train: Part) -> tuple[str, ...]:
        self._refuse(train.records)
        if self.learns is not None or self.time is None:
            return (self.learns or "sets",)
        people, items = (len(set(train.records[name].tolist())) for name in (self.user, self.item))
        return ("sequences", "sets") if people * items <= TRIED else ("sequences",)

    def worth(self) -> float:
        # of people who are all new nobody can tell
        return float(self.learned_["held out"].get(f"{self.headline} of blend", 0.0))

    def build_preprocessor(self, train: Part) -> keras.Model:
        state = self.remember(train.records, train.state)
        liked = histories.liked_names(state)
        if len(liked) < 2:
            raise DataError(f"{self.name}: only {len(liked)} items are liked by anybody; at least two are needed.")
        names = sorted({*self.learned_.get("items", []), *liked})
        self.learned_["learned"] = len(names)
        self.learned_["items"] = [*names, *sorted(set(state.described_names()) - set(names))]
        self.learned_["until"] = int(state.time.max())
        self.learned_["places"] = int(min(LONGEST, max(item_learning.PLACES, 1.25 * state.longest())))
        if self.item_features:
            known = state.description(names)
            self.learned_["features"] = item_features.learn(known, self._features)
        return self._kind.preprocessor(self.learned_["places"])

    def build_network(self, preprocessor: keras.Model) -> keras.Model:
        return self._kind.network()

    def passes(self, rows: int) -> int:
        return self._kind.passes(self.epochs)

    def stages(self) -> tuple[Stage, ...]:
        return (Stage(rate=self._kind.rate),)

    def objective(self) -> dict[str, Any]:
        return self._kind.objective(self.network_, self.learning_rate)

    def make_batches(self, part: Part, training: bool) -> Any:
        state = self.remember(part.records, part.state) if training else part.state
        taken = None if training else self._followed(part)
        found = self._kind.examples(histories.liked_rows(state, self.catalogue), taken, part.teacher)
        if found is None:
            return None
        return batches.shuffled(*found, self._kind.at_once(self.batch_size), training=training, seed=self.seed)

    def _followed(self, part: Part) -> dict[str, np.ndarray]:
        """The item rows that each user liked among held-out records and had not taken before."""
        return histories.followed(self.remember(part.records, Histories()), part.state, self.catalogue)

    def extend_network(self, network: keras.Model, part: Part) -> keras.Model:
        # where the folder kept nobody's history, what was learned of items must not go with the histories
        self._old = None if len(part.state) else Before(self._blend, self.learned_["data"]["rows"])
        liked = histories.liked_names(self.remember(part.records, part.state))
        wider = histories.grown(self.catalogue, liked, part.state.described_names())
        if wider.learned == self.catalogue.learned:
            return network
        self.learned_ |= {"items": wider.names, "learned": wider.learned}
        self.preprocessor_ = self._kind.preprocessor(self.learned_["places"])
        return item_networks.with_weights(self._kind.network(), network.get_weights())

    # ---- the graph that answers ---------------------------------------------

    def build_decision(self, valid: Part) -> keras.Model:
        self._judging = valid.records, valid.state
        everybody, judged = histories.everybody(valid.state, self.catalogue), self._judged(valid)
        found = blended_rankings.choose(everybody, judged, self._kind.ordered, self._network_scores, self._old)
        self.learned_ |= {"closed": found.best.closed.settings(), "share": found.best.share}
        if found.ease is not None:
            self.learned_["EASE"] = found.ease
        numbers = {f"{self.headline} of {way}": round(value, 4) for way, value in found.numbers.items()}
        self.learned_["held out"] = numbers
        return self._build(found.best)

    def growing(self, train: Part, valid: Part) -> Growing:
        everybody = histories.everybody(self.remember(train.records, train.state), self.catalogue)
        like = Closed.of(self.learned_["closed"])
        learn = partial(simple_rankings.of_share, everybody, self._judged(valid), like, self._kind.ordered)
        return Growing(learn, "people", like.kind, self.headline)

    def _judged(self, valid: Part) -> Judged:
        """What people took before and among the held-out records."""
        past = histories.liked_rows(valid.state, self.catalogue)
        return Judged.of(past, self._followed(valid), self.k, self.learned_["learned"], self.seed)

    def finish(self, both: Part) -> None:
        everybody, items = histories.everybody(self.state_, self.catalogue), self.learned_["learned"]
        like, ordered = Closed.of(self.learned_["closed"]), self._kind.ordered
        closed = simple_rankings.learn(everybody, items, like.kind, ordered, like.chosen)
        self._build(Blend(closed, simple_rankings.popularity(everybody, items), self.learned_["share"]))
        self.learned_["until"] = int(self.state_.time.max())
        self.baseline_ = simple_rankings.few_nearest(everybody, items, ordered)

    def _network_scores(self, past: Sequence[np.ndarray]) -> np.ndarray:
        """What the network alone says of all learned items (n, items) after histories."""
        entries, inputs = self.preprocessor_.input, {"history": interactions.padded(past, self.learned_["places"])}
        return fast.values(entries, self._kind.scored(self.network_)(self.preprocessor_(entries)), inputs)

    def _build(self, blend: Blend) -> keras.Model:
        """The graph of what was learned, which is what answers from now on."""
        self.model_ = self._graph(blend)
        self.call_, self.fast_ = fast.batch(self.model_), None
        return self.model_

    def _graph(self, blend: Blend) -> keras.Model:
        names, (places, most, _) = self.learned_["items"], self._limits
        decay, latest = blend.closed.chosen["decay"], simple_rankings.LATEST
        simple = item_networks.closed_form(blend.closed.weights, self.learned_["learned"], decay, latest)
        network = self._kind.scored(self.network_)
        return graph.answer_graph(
            self.preprocessor_, network, simple, names, self._alike, blend.popular, blend.share, places, most
        )

    @property
    def _alike(self) -> graph.Alike | None:
        """Which learned items those that nobody took yet are like; None where there are none of these."""
        names, learned = self.learned_["items"], self.learned_["learned"]
        if len(names) == learned:
            return None
        return graph.Alike(*item_features.borrowed(self._state.description(names), self.learned_["features"], learned))

    @property
    def _blend(self) -> Blend:
        """What stands beside the network in the graph."""
        weights, (_, popular) = (self.model_.get_layer(name).get_weights() for name in ("closed", "blend"))
        return Blend(Closed.of(self.learned_["closed"], tuple(weights)), popular, self.learned_["share"])

    # ---- how it is judged --------------------------------------------------

    def make_trials(self, records: Table) -> tuple[Table, Table]:
        held_out, before = getattr(self, "_judging", (None, self._state))
        state = before if records is held_out else self._state
        people, truth = histories.trials(self.remember(records, Histories()), state)
        return self.query.check(self.name, {self.user: people})[0], truth

    def trial_groups(self, records: Table, values: np.ndarray) -> np.ndarray:
        first: dict[str, Any] = {}
        for user, value in zip(records[self.user], values, strict=True):
            first.setdefault(user, value)
        return np.array([first[user] for user in self.remember(records, Histories()).people], object)

    def score(self, truth: Table, answers: Answers) -> dict[str, float]:
        known = self._known_lists
        taken = [inference.listed(text) for text in truth["taken"]]
        return ranking.score(taken, list(answers["items"]), self.k, known.popularity, len(self.catalogue), known)

    @property
    def _known_lists(self) -> ranking.Known:
        kept = self.__dict__.get("_lists")
        if kept is None or kept[0] is not self.model_:
            shares = self._blend.popular.tolist()
            popularity = dict(zip(self.learned_["items"], shares, strict=False))
            kept = self._lists = self.model_, ranking.Known(popularity)
        return kept[1]

    def figures(self, truth: Table, answers: Answers) -> list[Any]:
        taken = [inference.listed(text) for text in truth["taken"]]
        return ranking_figures.pictures(taken, list(answers["items"]), self.k, self._known_lists.popularity)

    def fit_baseline(self, train: Part) -> Table:
        everybody = histories.everybody(self.remember(train.records, train.state), self.catalogue)
        return simple_rankings.few_nearest(everybody, self.learned_["learned"], self._kind.ordered)

    def baseline(self, state: Table, inputs: Table) -> Answers:
        """The closed form alone."""
        return self._alone(inputs, self._blend._replace(share=0.0))

    def _alone(self, inputs: Table, blend: Blend) -> Answers:
        """What another blend answers to prepared queries."""
        return self.respond(inputs, fast.batch(self._graph(blend)), self._state)

    def extend_report(self, report: Any, truth: Table, inputs: Table) -> None:
        ways = self._ways_to_rank(inputs)
        ranking_reports.compare(report, {name: self.score(truth, one) for name, one in ways.items()})
        if self.time is not None:
            report.findings += ranking_reports.leaks(truth["begins"], self.learned_["until"])
        ranking_reports.tell_held_out(report, self.headline, self.learned_["held out"], self.learned_.get("tried", {}))
        ranking_reports.tell_ease(report, ways, "EASE" in self.learned_)

    def _ways_to_rank(self, inputs: Table) -> dict[str, Answers]:
        """The answers to prepared queries, and those of simpler ways, by name."""
        blend, nearest = self._blend, (self.baseline_["near"], self.baseline_["weights"])
        ways = {self.name: self.respond(inputs, self.call_, self._state)}
        ways |= {way: self._alone(inputs, one) for way, one in blended_rankings.alone(blend, nearest).items()}
        if self.baseline_name != "EASE":
            everybody, chosen = histories.everybody(self._state, self.catalogue), self.learned_.get("EASE")
            ease = simple_rankings.plain_ease(everybody, self.learned_["learned"], self._kind.ordered, chosen)
            if ease is not None:
                best = simple_rankings.ranked(ease, inputs["history"], blend.popular, self.k)
                ways["EASE alone"] = {"items": ranking.as_lists(self.catalogue.named(best))}
        strangers = {**inputs, "history": -np.abs(inputs["history"])}  # what was taken is left out, and says nothing
        ways["popularity"] = self.respond(strangers, self.call_, self._state)
        return ways

    def make_explanation(self, records: Table) -> Any:
        queries = records if self.item not in records else self.make_trials(records)[0]
        return ranking_reports.explain(self.card.title, self.prepare(queries, self._state), self.call_, self.catalogue)

    # ---- what is like what -------------------------------------------------

    def embed(self, items: Iterable[Any]) -> np.ndarray:
        """The vectors (n, d) float32 of items, of length 1; of an item nobody took yet, those of what it is like.

        Raises:
            DataError: An item is not known.
        """
        self._check_fitted()
        rows = histories.rows_of(self.name, self.catalogue, items)
        vectors, alike = self._kind.vectors(self.network_), self._alike
        if alike is not None:
            vectors = np.concatenate([vectors, np.einsum("nk,nkd->nd", alike.shares, vectors[alike.rows])])
        found = vectors[rows - 1]
        return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9), "float32")

    def similar(self, item: Any, k: int = 10) -> Any:
        """The k items most like one, by what people take with or after it: a DataFrame of item and score (cosine).

        Raises:
            DataError: The item is not known.
        """
        import pandas as pd

        self._check_fitted()
        (row,) = histories.rows_of(self.name, self.catalogue, [item])
        names = np.array(self.learned_["items"], object)
        scores = self.embed(names) @ self.embed([names[row - 1]])[0]
        best = [place for place in np.argsort(-scores, kind="stable") if place != row - 1][:k]
        return pd.DataFrame({"item": names[best], "score": scores[best]})
