"""What next, for whom, and why: a network of sequences or of sets, blended with a closed form where that helps."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import keras
import numpy as np

from apptemplates import arguments
from apptemplates.contract import WEIGHT, Answers, Card, Part, Stage
from apptemplates.data import batches, interactions, item_features, kinds, preflight, splits, synthetic_shop
from apptemplates.data.readers import read
from apptemplates.data.schema import DataError, Field, Schema
from apptemplates.data.table import Table, rows, take
from apptemplates.deploy import fast
from apptemplates.evaluation import ranking, ranking_figures, ranking_reports, simple_rankings
from apptemplates.evaluation.diagnosis import Growing
from apptemplates.evaluation.simple_rankings import Judged
from apptemplates.inference import recommender as inference
from apptemplates.inference.recommender import Catalogue, Histories, Limits
from apptemplates.layers import item_networks, sequence
from apptemplates.layers import ranking as graph
from apptemplates.template import Template

PLACES = 50  # of a history that a network of sequences looks at
LONGEST = 2048  # places of a history that a query can have
JUDGED = 4_000  # people by whom a network of sequences is judged while it learns
SAMPLED = 20_000  # items up to which the loss takes all of them, and above a sample of so many
CELLS = 2_000_000_000  # users times items that a network of sets can learn from
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
        checks = {
            "hold_out": (self.hold_out in interactions.HOLD_OUT, f"one of {', '.join(interactions.HOLD_OUT)}"),
            "learns": (self.learns in (None, "sequences", "sets"), "'sequences', 'sets' or None"),
            "k": (1 <= self.k <= 1000, "a whole number from 1 to 1,000"),
            "scale": (len(self._scale) == 2 and self._scale[0] < self._scale[-1], "a lowest and a highest rating"),
        }
        for name, (good, wanted) in checks.items():
            if not good:
                raise ValueError(f"{self.name}: {name} must be {wanted}. Received: {getattr(self, name)!r}.")
        if self.learns == "sequences" and self.time is None:
            raise ValueError(f"{self.name}: learns='sequences' needs times; name their column with time=.")
        if self.liked is not None and self.rating is None:
            raise ValueError(f"{self.name}: liked= is about ratings; name their column with rating=.")
        if not self._scale[0] <= self._liked <= self._scale[1]:
            raise ValueError(f"{self.name}: liked must lie on the scale {self._scale}. Received: {self.liked!r}.")
        roles = ("user", "item", "time", "rating", "item_features")
        arguments.one_role_each(self.name, {role: getattr(self, role) for role in roles})

    @property
    def _scale(self) -> list[float]:
        return [1.0, 5.0] if self.scale is None else self.scale

    @property
    def _liked(self) -> float:
        return sum(self._scale) / 2 if self.liked is None else self.liked

    @classmethod
    def demo(cls) -> tuple[Self, Table]:
        choices: dict[str, Any] = {"k": 10, "learns": "sequences", "epochs": 8, "batch_size": 64}
        app = cls(time="time", item_features=("category", "price"), **choices)
        return app, synthetic_shop.purchases(250, 100)

    # ---- what goes in and comes out ----------------------------------------

    def _own_columns(self, table: Table) -> Schema:
        """The item's features with the kinds they seem to be of."""
        described = {} if self.before_ is None else dict(self.before_.described)
        known = {name: column for name, column in (described | table).items() if name in self.item_features}
        return Schema.of(kinds.infer(known))

    @property
    def _features(self) -> Schema:
        fields = {}
        for name in self.item_features:
            kind = self.columns_[name].kind if name in self.columns_ else "category"
            kind = kind if kind in ("number", "flag") else "category"
            fields[name] = Field(name, kind, required=False, missing=True, several=kind == "category")
        return Schema.of(fields)

    @property
    def record(self) -> Schema:
        fields = {
            self.user: Field("who took it", "id", named=True),
            self.item: Field("what was taken", "id", named=True),
        }
        if self.time is not None:
            fields[self.time] = Field("when it was taken", "time", role="time")
        if self.rating is not None:
            fields[self.rating] = Field("how well it was liked", low=self._scale[0], high=self._scale[1], role="rating")
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
        # what a network of sequences ranks goes on getting better when the loss no longer does
        return None if self._sequences else 6

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
        liked = None if self.rating is None else records[self.rating] >= self._liked
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
            self.columns_ = Schema.of(kinds.infer({n: c for n, c in table.items() if n in self.item_features}))
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
            parts = self._learned_parts()
            self.learned_["items"] = [*self.learned_["items"], *new]
            self._build(*parts)
        return self

    # ---- how it learns -----------------------------------------------------

    def split(self, records: Table) -> tuple[Table, Table]:
        self._refuse(records)
        kept = take(records, interactions.first_ones(records, self.user, self.item, self.time))
        # also what was taken for the first time among the held-out ones can be recommended
        liked = self._liked_names(self.remember(kept, self._state))
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
        for role in (self.user, self.item):
            if len(set(records[role].tolist())) < 2:
                raise DataError(
                    f"{self.name}: column {role!r} holds a single value ({records[role][0]!r}) in all "
                    f"{rows(records):,} rows; interactions of several users with several items are needed."
                )
        marked = next((name for name in records[self.item] if inference.MARK in name), None)
        if marked is not None:
            raise DataError(
                f"{self.name}: item {marked!r} holds {inference.MARK!r}, which stands between the items of a list; "
                "write it otherwise."
            )

    @staticmethod
    def _liked_names(state: Histories) -> list[str]:
        return list(map(str, state.names[np.unique(state.code[state.liked])])) if len(state) else []

    @property
    def _sequences(self) -> bool:
        return bool(self.learned_["kind"] == "sequences")

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
        liked = self._liked_names(state)
        if len(liked) < 2:
            raise DataError(f"{self.name}: only {len(liked)} items are liked by anybody; at least two are needed.")
        names = sorted({*self.learned_.get("items", []), *liked})
        self.learned_["learned"] = len(names)
        self.learned_["items"] = [*names, *sorted(set(state.described_names()) - set(names))]
        self.learned_["until"] = int(state.time.max())
        self.learned_["places"] = int(min(LONGEST, max(PLACES, 1.25 * state.longest())))
        if self.item_features:
            known = state.description(names)
            self.learned_["features"] = item_features.learn(known, self._features)
        return self._preprocessor()

    def _preprocessor(self) -> keras.Model:
        history = keras.Input((self.learned_["places"],), dtype="int32", name="history")
        items = self.learned_["learned"]
        layer = graph.Recent(PLACES, name="recent") if self._sequences else graph.Taken(items, name="taken")
        return keras.Model({"history": history}, layer(history), name="preprocessor")

    def build_network(self, preprocessor: keras.Model) -> keras.Model:
        items = self.learned_["learned"]
        if self._sequences:
            # the loss needs the items' vectors of the network that learns, in the refit another than `network_`
            self._learning = sequence.next_item_network(items, PLACES, 64, dropout=0.3)
            return self._learning
        width = 600 if items > 1000 else 200
        return item_networks.set_network(items, width, width // 3, 1000, self.seed)

    def passes(self, rows: int) -> int:
        return max(1, 2 * self.epochs // 3) if self._sequences else self.epochs

    def stages(self) -> tuple[Stage, ...]:
        return (Stage(rate=3.0 if self._sequences else 1.0),)  # attention begins to learn late at small steps

    def objective(self) -> dict[str, Any]:
        rule = keras.optimizers.AdamW(self.learning_rate, weight_decay=1e-4 if self._sequences else 0.0)
        if not self._sequences:
            return {"optimizer": rule, "loss": item_networks.taken_loss, "steps_per_execution": 8}
        sampled = SAMPLED if self.learned_["learned"] > SAMPLED else 0
        table = (self._learning or self.network_).get_layer("items")
        return {"optimizer": rule, "loss": sequence.next_item_loss(table, sampled, self.seed)}

    def make_batches(self, part: Part, training: bool) -> Any:
        given = self._liked_rows(self.remember(part.records, part.state) if training else part.state)
        taken = None if training else self._followed(part)
        if self._sequences:
            if taken is None:
                histories = [items for items in given.values() if len(items) > 1]
            else:
                known = [user for user in taken if len(taken[user]) and len(given.get(user, []))]
                some = np.random.default_rng(self.seed).permutation(len(known))[:JUDGED]
                histories = [np.concatenate([given[known[i]], taken[known[i]][:1]]) for i in some]
            if not histories:
                return None
            features, target = interactions.packed(histories, PLACES, last_only=not training)
            # a row holds the steps of several people
            return batches.shuffled(features, target, max(1, self.batch_size // 16), training=training, seed=self.seed)
        people = [user for user in given if len(given[user]) and (taken is None or len(taken.get(user, [])))]
        items = self.learned_["learned"]
        if len(people) * items > CELLS:
            raise DataError(f"{self.name}: {len(people):,} users of {items:,} items are too many for learns='sets'.")
        if not people:
            return None
        features = item_networks.flags([given[user] for user in people], items)
        target = features if taken is None else item_networks.flags([taken[user] for user in people], items)
        if part.teacher is not None:  # what was known before is held fast
            target = item_networks.recalled(part.teacher, features, target)
        return batches.shuffled(features, target, self.batch_size, training=training, seed=self.seed)

    def _liked_rows(self, state: Histories) -> dict[str, np.ndarray]:
        """The rows of the learned items that each user liked, in the order of time."""
        found, learned = state.rows(self.catalogue), self.learned_["learned"]
        good = (found > 0) & (found <= learned)
        return {user: found[span][good[span]] for user in state.people for span in [state.span(user)]}

    def _followed(self, part: Part) -> dict[str, np.ndarray]:
        """The item rows that each user liked among held-out records and had not taken before."""
        after, known = self._liked_rows(self.remember(part.records, Histories())), part.state.rows(self.catalogue)
        return {user: found[~np.isin(found, np.abs(known[part.state.span(user)]))] for user, found in after.items()}

    def extend_network(self, network: keras.Model, part: Part) -> keras.Model:
        self._learning = None
        # where the folder kept nobody's history, what was learned of items must not go with the histories
        self._old = None if len(part.state) else (self._closed_of(*self._learned_parts()[:1]), self._learned_parts()[1])
        liked = set(self._liked_names(self.remember(part.records, part.state)))
        old = self.learned_["items"][: self.learned_["learned"]]
        described = set(part.state.described_names())
        # also what was taken among the held-out ones alone, unless it is known by its features
        new = sorted(n for n in self.learned_["items"][len(old) :] if n in liked or n not in described)
        if not new:
            return network
        rest = [name for name in self.learned_["items"][len(old) :] if name not in new]
        self.learned_ |= {"items": [*old, *new, *rest], "learned": len(old) + len(new)}
        self.preprocessor_ = self._preprocessor()
        wider = self.build_network(self.preprocessor_)
        self._learning = None
        return item_networks.with_weights(wider, network.get_weights())

    # ---- the graph that answers ---------------------------------------------

    def build_decision(self, valid: Part) -> keras.Model:
        self._judging = valid.records, valid.state
        judged, items = self._judged_people(valid), self.learned_["learned"]
        everybody = [found for found in self._liked_rows(valid.state).values() if len(found)]
        simple, found = simple_rankings.choose(everybody, judged, self._sequences)
        closed = next(iter(simple.values()))
        popular = simple_rankings.popularity(everybody, items)
        old = self.__dict__.get("_old")
        if old is not None:
            count = sum(map(len, everybody))
            part = count / (count + self.learned_["data"]["rows"])
            closed = simple_rankings.kept(old[0], closed, part, items)
            popular *= part
            popular[: len(old[1])] += (1 - part) * old[1]
        share = 0.5  # of people who are all new nobody can tell
        if old is not None:
            share = self.learned_["share"]  # which a few interactions do not tell better
        if len(judged):
            scores = self._network_scores(judged.past), closed.scores(judged.past, items)
            best, shares = simple_rankings.share_of(judged, *scores)
            share = best if old is None else share
            found |= {"network": shares[1.0], "blend": shares[share]}
        self.learned_ |= {"closed": {"kind": closed.kind, **closed.chosen}, "share": share}
        if "EASE" in simple and old is None:
            self.learned_["EASE"] = simple["EASE"].chosen
        self.learned_["held out"] = {f"{self.headline} of {way}": round(value, 4) for way, value in found.items()}
        return self._build(closed.weights, popular)

    def growing(self, train: Part, valid: Part) -> Growing:
        given = self._liked_rows(self.remember(train.records, train.state))
        everybody = [found for found in given.values() if len(found)]
        judged, chosen, items = self._judged_people(valid), self._closed_of(()), self.learned_["learned"]

        def learn(share: float, rng: np.random.Generator) -> tuple[int, float]:
            some = [everybody[i] for i in rng.permutation(len(everybody))[: max(2, round(share * len(everybody)))]]
            closed = simple_rankings.learn(some, items, chosen.kind, self._sequences, chosen.chosen)
            return len(some), judged.ndcg(closed.scores(judged.past, items))

        return Growing(learn, "people", chosen.kind, self.headline)

    def _judged_people(self, valid: Part) -> Judged:
        """What people took before and among the held-out records."""
        past, taken = self._liked_rows(valid.state), self._followed(valid)
        people = [user for user in taken if len(taken[user]) and len(past.get(user, []))]
        items = self.learned_["learned"]
        return Judged.of([past[one] for one in people], [taken[one] for one in people], self.k, items, self.seed)

    def _plain_ease(self) -> tuple[simple_rankings.Closed, ...]:
        """EASE alone, learned from everybody's histories as they are remembered; none where it can not be."""
        everybody = [found for found in self._liked_rows(self._state).values() if len(found)]
        items, chosen = self.learned_["learned"], self.learned_.get("EASE", simple_rankings.USUAL)
        if not everybody or items > simple_rankings.COMPARED:
            return ()
        return (simple_rankings.learn(everybody, items, "EASE", self._sequences, chosen),)

    def _closed_of(self, weights: tuple[np.ndarray, ...]) -> simple_rankings.Closed:
        """The closed form that stands in the graph."""
        chosen = dict(self.learned_["closed"])
        return simple_rankings.Closed(chosen.pop("kind"), weights, chosen)

    def finish(self, both: Part) -> None:
        everybody = [found for found in self._liked_rows(self.state_).values() if len(found)]
        old = self._closed_of(())
        closed = simple_rankings.learn(everybody, self.learned_["learned"], old.kind, self._sequences, old.chosen)
        self._build(closed.weights, simple_rankings.popularity(everybody, self.learned_["learned"]))
        self.learned_["until"] = int(self.state_.time.max())
        self.baseline_ = self._simple_arrays(everybody)

    def _network_scores(self, histories: Any) -> np.ndarray:
        """What the network alone says of all learned items (n, items) after histories."""
        filled = np.zeros((len(histories), self.learned_["places"]), "int32")
        for row, found in enumerate(histories):
            found = found[-filled.shape[1] :]
            filled[row, filled.shape[1] - len(found) :] = found
        entries = self.preprocessor_.input
        return fast.values(entries, self._scored(self.preprocessor_(entries)), {"history": filled})

    @property
    def _scored(self) -> keras.Model:
        return sequence.next_item(self.network_) if self._sequences else self.network_

    def _build(self, weights: tuple[np.ndarray, ...], popular: np.ndarray) -> keras.Model:
        """The graph of what was learned, which is what answers from now on."""
        self.model_ = self._graph(weights, popular, self.learned_["share"], self._decay)
        self.call_, self.fast_ = fast.batch(self.model_), None
        return self.model_

    def _graph(self, weights: tuple[np.ndarray, ...], popular: np.ndarray, share: float, decay: float) -> keras.Model:
        names, learned = self.learned_["items"], self.learned_["learned"]
        alike = None
        if len(names) > learned:
            directions = item_features.encode(self._state.description(names), self.learned_["features"])
            alike = graph.Alike(*item_features.alike(directions[learned:], directions[:learned]))
        if len(weights) == 1:  # a weight for every pair of items
            simple = graph.Simple(item_networks.Together(name="closed"), weights, 0, decay)
        else:
            layer = item_networks.Followers(learned, weights[0].shape[1], decay, name="closed")
            simple = graph.Simple(layer, weights, simple_rankings.LATEST)
        places, most = self._limits[:2]
        return graph.answer_graph(self.preprocessor_, self._scored, simple, names, alike, popular, share, places, most)

    def _learned_parts(self) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        """The weights of the closed form and how popular items are, as they stand in the graph."""
        weights = tuple(np.asarray(one) for one in self.model_.get_layer("closed").get_weights())
        return weights, np.asarray(self.model_.get_layer("blend").get_weights()[1])

    # ---- how it is judged --------------------------------------------------

    def make_trials(self, records: Table) -> tuple[Table, Table]:
        held_out, before = getattr(self, "_judging", (None, self._state))
        state = before if records is held_out else self._state
        after = self.remember(records, Histories())
        people, taken = [], []
        for user in after.people:
            span, known = after.span(user), state.span(user)
            liked = after.names[after.code[span][after.liked[span]]]
            had = set(state.names[state.code[known]])
            people.append(user)
            taken.append(inference.MARK.join(name for name in liked if name not in had))
        queries, _ = self.query.check(self.name, {self.user: np.array(people, object)})
        begins = np.array([after.time[after.span(user)].min() for user in people], "int64")
        return queries, {"taken": np.array(taken, object), "begins": begins}

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
            shares = self._learned_parts()[1].tolist()
            popularity = dict(zip(self.learned_["items"], shares, strict=False))
            kept = self._lists = self.model_, ranking.Known(popularity)
        return kept[1]

    def figures(self, truth: Table, answers: Answers) -> list[Any]:
        taken = [inference.listed(text) for text in truth["taken"]]
        return ranking_figures.pictures(taken, list(answers["items"]), self.k, self._known_lists.popularity)

    def fit_baseline(self, train: Part) -> Table:
        everybody = self._liked_rows(self.remember(train.records, train.state)).values()
        return self._simple_arrays([found for found in everybody if len(found)])

    def _simple_arrays(self, everybody: list[np.ndarray]) -> Table:
        """Item-kNN, for the report, as arrays of at most 2 MB."""
        items = self.learned_["learned"]
        number = max(1, min(50, 2_000_000 // (8 * (items + 1))))
        near, weights = simple_rankings.nearest(everybody, items, 5.0, self._sequences)
        return {"near": near[:, :number], "weights": weights[:, :number]}

    def baseline(self, state: Table, inputs: Table) -> Answers:
        """The closed form alone."""
        return self._alone(inputs, *self._learned_parts(), 0.0, self._decay)

    @property
    def _decay(self) -> float:
        return float(self.learned_["closed"]["decay"])

    def _alone(
        self, inputs: Table, weights: tuple[np.ndarray, ...], popular: np.ndarray, share: float, decay: float = 1.0
    ) -> Answers:
        return self.respond(inputs, fast.batch(self._graph(weights, popular, share, decay)), self._state)

    def _ranked(self, closed: simple_rankings.Closed, history: np.ndarray, popular: np.ndarray) -> Answers:
        """The items that a closed form ranks first after histories (n, places), without the graph, which is slower."""
        lists = []
        for part in np.array_split(history, max(1, len(history) // 1000)):
            scores = closed.scores([row[(row > 0) & (row <= len(popular))] for row in part], len(popular))
            for row, taken in enumerate(np.where(np.abs(part) <= len(popular), part, 0)):
                if not (taken > 0).any():
                    scores[row] = popular
                scores[row, np.abs(taken[taken != 0]) - 1] = -np.inf
            lists += [self.catalogue.named(best + 1).tolist() for best in ranking.top_rows(scores, self.k)]
        return {"items": np.array([*lists, None], object)[:-1]}

    def extend_report(self, report: Any, truth: Table, inputs: Table) -> None:
        weights, popular = self._learned_parts()
        ways = {self.name: self.respond(inputs, self.call_, self._state)}
        ways["the network alone"] = self._alone(inputs, weights, popular, 1.0)
        ways[f"{self.baseline_name} alone"] = self.baseline(self.baseline_, inputs)
        if self.baseline_name != "item-kNN":
            nearest = self.baseline_["near"], self.baseline_["weights"]
            ways["item-kNN alone"] = self._alone(inputs, nearest, popular, 0.0, self._decay)
        if self.baseline_name != "EASE":
            for ease in self._plain_ease():
                ways["EASE alone"] = self._ranked(ease, inputs["history"], popular)
        strangers = {**inputs, "exclude": inputs["exclude"], "history": -np.abs(inputs["history"])}
        ways["popularity"] = self.respond(strangers, self.call_, self._state)
        ranking_reports.compare(report, {name: self.score(truth, one) for name, one in ways.items()})
        late = 0 if self.time is None else int((truth["begins"] < self.learned_["until"]).sum())
        if late:
            report.findings.append(ranking_reports.leak(late, rows(truth), self.learned_["until"]))
        report.notes |= {f"held out while learning, {way}": value for way, value in self.learned_["held out"].items()}
        for kind, value in self.learned_.get("tried", {}).items():
            report.notes[f"held out while learning, {self.headline} of {kind}"] = round(value, 4)
        if not any(way.startswith("EASE") for way in ways):
            most = f"{simple_rankings.COMPARED:,} items, and of people whose histories are kept"
            report.notes["EASE alone"] = f"left out: it is for up to {most}"
        elif "EASE" not in self.learned_:
            report.notes["EASE alone"] = f"with its usual ridge of {simple_rankings.USUAL['strength']:.0f}, not chosen"

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
        names = [self._known(name) for name in items]
        if self._sequences:
            vectors = np.asarray(self.network_.get_layer("items").vectors)
        else:
            vectors = np.asarray(self.network_.get_layer("items").kernel).T
        learned = self.learned_["learned"]
        if len(self.catalogue) > learned:
            directions = item_features.encode(
                self._state.description(self.learned_["items"]), self.learned_["features"]
            )
            near, shares = item_features.alike(directions[learned:], directions[:learned])
            vectors = np.concatenate([vectors, np.einsum("nk,nkd->nd", shares, vectors[near])])
        found = vectors[self.catalogue.rows(names) - 1]
        return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9), "float32")

    def similar(self, item: Any, k: int = 10) -> Any:
        """The k items most like one, by what people take with or after it: a DataFrame of item and score (cosine).

        Raises:
            DataError: The item is not known.
        """
        import pandas as pd

        self._check_fitted()
        name, names = self._known(item), np.array(self.learned_["items"], object)
        scores = self.embed(names) @ self.embed([name])[0]
        best = [place for place in np.argsort(-scores, kind="stable") if names[place] != name][:k]
        return pd.DataFrame({"item": names[best], "score": scores[best]})

    def _known(self, item: Any) -> str:
        schema = Schema.of({"item": Field("an item", "id")})
        name = str(schema.check_one(self.name, {"item": item})["item"])
        if not self.catalogue.rows([name])[0]:
            raise DataError(f"{self.name}: item {name!r} is not known; it was neither learned from nor described.")
        return name
