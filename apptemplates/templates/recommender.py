"""What next, for whom, and why: a network of sequences or of sets, blended with a closed form where that helps."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import keras
import numpy as np

from apptemplates.contract import WEIGHT, Answers, Card, Part
from apptemplates.data import batches, interactions, item_features, synthetic_shop
from apptemplates.data.readers import read
from apptemplates.data.schema import DataError, Field, Schema
from apptemplates.data.table import Table, concat, rows, take
from apptemplates.deploy import fast
from apptemplates.evaluation import ranking, ranking_explanation, ranking_figures, simple_rankings
from apptemplates.inference import recommender as inference
from apptemplates.inference.recommender import Catalogue, Histories, Limits
from apptemplates.layers import ranking as graph
from apptemplates.layers import sequence
from apptemplates.template import Template

PLACES = 50  # of a history that a network of sequences looks at
LONGEST = 2048  # places of a history that a query can have
SHOWN = 20  # items that come with reasons
LOOKED = 256  # latest places of a history among which reasons are looked for
JUDGED = 2_000  # users by whom a network of sequences is judged while it learns
CELLS = 2_000_000_000  # users times items that a network of sets can learn from


@dataclass(kw_only=True, eq=False)
class Recommender(Template):
    """Ranks what somebody will take next, from what everybody took so far, and says because of what.

    With times it learns what follows what (a self-attentive network trained on every step over all items), without them
    what goes with what (a variational autoencoder over everybody's items). Up to 6,000 items the network is blended
    with a closed-form method over sets, the share of each chosen on held-out interactions; the closed form may win.

    Asked for a user it knows, or for a bare `history` of items, it leaves out what was taken already. Items that were
    never learned from are ranked and understood by their features (`describe`); who took nothing gets what is popular.

    Args:
        user: Column that says who.
        item: Column that says what was taken.
        time: Column with the time of it; or None. For lines of "user item item ..." in the order of time: "place".
        rating: Column that says how well it was liked; or None, where all that was taken counts as liked.
        scale: Lowest and highest rating.
        liked: From which rating on an item counts as liked; by default the middle of the scale. What was not liked is
            neither learned from nor recommended again.
        item_features: Columns that describe an item, in the table of interactions or in one given to `describe`.
        k: How many items are recommended, and judged by.
        learns: "sequences" (needs times) or "sets"; by default sequences with times, else sets.
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
    patience = 6

    def __post_init__(self) -> None:
        super().__post_init__()
        self.learned_: dict[str, Any] = {}
        self.described_: Table = {}
        checks = {
            "hold_out": (self.hold_out in interactions.HOLD_OUT, f"one of {', '.join(interactions.HOLD_OUT)}"),
            "learns": (self.learns in (None, "sequences", "sets"), "'sequences', 'sets' or None"),
            "k": (1 <= self.k <= 1000, "a whole number from 1 to 1,000"),
        }
        for name, (good, wanted) in checks.items():
            if not good:
                raise ValueError(f"{self.name}: {name} must be {wanted}. Received: {getattr(self, name)!r}.")
        if self.learns == "sequences" and self.time is None:
            raise ValueError(f"{self.name}: learns='sequences' needs times; name their column with time=.")
        if self.rating is None and (self.scale or self.liked is not None):
            raise ValueError(f"{self.name}: scale and liked are about ratings; name their column with rating=.")
        low, high = self._scale
        if not low < high or not low <= self._liked <= high:
            raise ValueError(
                f"{self.name}: scale must be a lowest and a highest rating, and liked lie between. Received: "
                f"{self.scale!r}, liked={self.liked!r}."
            )
        twice = [role for role in (self.user, self.item, self.time, self.rating, *self.item_features) if role]
        if len(set(twice)) < len(twice):
            raise ValueError(f"{self.name}: one column can not play two roles. Received: {', '.join(twice)}.")

    @property
    def _scale(self) -> tuple[float, float]:
        if self.scale is not None and len(self.scale) != 2:
            raise ValueError(f"{self.name}: scale must be a lowest and a highest rating. Received: {self.scale!r}.")
        return (1.0, 5.0) if self.scale is None else (float(self.scale[0]), float(self.scale[1]))

    @property
    def _liked(self) -> float:
        return sum(self._scale) / 2 if self.liked is None else self.liked

    @classmethod
    def demo(cls) -> tuple[Self, Table]:
        app = cls(time="time", item_features=("category", "price"), k=10, epochs=8, batch_size=64, learning_rate=3e-3)
        return app, synthetic_shop.purchases(300, 120)

    # ---- what goes in and comes out ----------------------------------------

    @property
    def record(self) -> Schema:
        fields = {
            self.user: Field("who took it", "id", role="user"),
            self.item: Field("what was taken", "id", role="item"),
        }
        if self.time is not None:
            fields[self.time] = Field("when it was taken", "time", role="time")
        if self.rating is not None:
            low, high = self._scale
            fields[self.rating] = Field("how well it was liked", low=low, high=high, role="rating")
        return Schema.of(fields | self._features)

    @property
    def _features(self) -> Schema:
        known = self.learned_.get("kinds") or {name: self.columns_[name].kind for name in self._own_features}
        fields = {}
        for name in self.item_features:
            kind = known.get(name, "category")
            kind = kind if kind in ("number", "flag") else "category"
            fields[name] = Field(name, kind, required=False, missing=True, several=kind == "category")
        return Schema.of(fields)

    @property
    def _own_features(self) -> list[str]:
        return [name for name in self.item_features if name in self.columns_]

    @property
    def query(self) -> Schema:
        some = {"kind": "category", "required": False, "missing": True, "ordered": True, "longest": 500_000}
        return Schema.of(
            {
                self.user: Field("who is asked for", "id", required=False, missing=True),
                "history": Field("items taken so far, the latest last", **some),  # type: ignore[arg-type]
                "k": Field("how many items", required=False, missing=True),
                "exclude": Field("items to leave out instead of those taken", **some),  # type: ignore[arg-type]
                "candidates": Field("the only items to choose from", **some),  # type: ignore[arg-type]
            }
        )

    @property
    def answer(self) -> Schema:
        return Schema(
            items=Field("what to recommend, the best first", "text"),
            scores=Field("how far above the average item, in standard deviations", "text"),
            because=Field("for each item, the taken ones that speak most for it", "text"),
            source=Field("what the answer is put down to: user, history, features or popularity", "text"),
            problem=Field("why there is no answer", "text", missing=True),
        )

    @property
    def headline(self) -> str:  # type: ignore[override]
        return f"NDCG@{self.k}"

    @property
    def baseline_name(self) -> str:  # type: ignore[override]
        return str(self.learned_.get("baseline", "popularity"))

    @property
    def catalogue(self) -> Catalogue:
        """The items it can recommend."""
        kept = self.__dict__.get("_catalogue")
        if kept is None or kept.names is not self.learned_.get("items"):
            kept = self._catalogue = Catalogue(self.learned_.get("items", []), self.learned_.get("learned", 0))
        return kept

    @property
    def _limits(self) -> Limits:
        most = min(len(self.catalogue), max(100, 2 * self.k))
        return Limits(self.learned_["places"], most, min(self.k, most))

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
        return state.added(records[self.user], records[self.item], times, liked)

    def observe(self, records: Any) -> Self:
        """Adds interactions to what users took, without learning from them; items it does not know are passed over."""
        table, _ = self.record.check(self.name, read(records))
        self.state_ = self.remember(table, self.open_state({}) if self.state_ is None else self.state_)
        if not self.is_fitted:
            self.before_ = self.state_
        return self

    # ---- how it learns -----------------------------------------------------

    def split(self, records: Table) -> tuple[Table, Table]:
        self._refuse(records)
        kept = take(records, interactions.first_ones(records, self.user, self.item, self.time))
        return interactions.hold_out(kept, self.user, self.time, self.hold_out, self.seed)

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

    @property
    def _sequences(self) -> bool:
        return self.learned_["kind"] == "sequences"

    def build_preprocessor(self, train: Part) -> keras.Model:
        state = self.remember(train.records, train.state)
        liked = state.names[np.unique(state.code[state.liked])] if len(state) else []
        if len(liked) < 2:
            raise DataError(f"{self.name}: only {len(liked)} items are liked by anybody; at least two are needed.")
        self.learned_["kind"] = self.learns or ("sets" if self.time is None else "sequences")
        self.learned_["items"], self.learned_["learned"] = list(map(str, liked)), len(liked)
        self.learned_["places"] = int(min(LONGEST, max(PLACES, 1.1 * state.longest())))
        self._learn_features(train.records)
        return self._preprocessor()

    def _preprocessor(self) -> keras.Model:
        history = keras.Input((self.learned_["places"],), dtype="int32", name="history")
        items = len(self.catalogue)
        layer = graph.Recent(PLACES, name="recent") if self._sequences else graph.Taken(items, name="taken")
        return keras.Model({"history": history}, layer(history), name="preprocessor")

    def build_network(self, preprocessor: keras.Model) -> keras.Model:
        items, people = len(self.catalogue), max(1, len(self.learned_["items"]))
        if self._sequences:
            return sequence.next_item_network(items, PLACES, 64)
        width = 600 if people > 1000 else 200
        return graph.set_network(items, width, width // 3, 1000, self.seed)

    def objective(self) -> dict[str, Any]:
        rule = keras.optimizers.AdamW(self.learning_rate, weight_decay=0.0 if not self._sequences else 1e-4)
        loss = sequence.next_item_loss if self._sequences else graph.taken_loss
        return {"optimizer": rule, "loss": loss, "steps_per_execution": 8}

    def make_batches(self, part: Part, training: bool) -> Any:
        before = part.state
        state = self.remember(part.records, before) if training else before
        after = None if training else self._followed(part)
        if self._sequences:
            given = self._liked_rows(state)
            if not training:
                assert after is not None
                pairs = [(given.get(user, []), found[:1]) for user, found in after.items()]
                pairs = [(past, found) for past, found in pairs if len(past)]
                pairs = [pairs[i] for i in np.random.default_rng(self.seed).permutation(len(pairs))[:JUDGED]]
                if not pairs:
                    return None
                whole = [np.concatenate(pair) for pair in pairs]
                features, target = interactions.packed(whole, PLACES, last_only=True)
            else:
                features, target = interactions.packed([items for items in given.values() if len(items) > 1], PLACES)
            size = max(1, self.batch_size // 8)  # a row holds the steps of several people
            return batches.shuffled(features, target, size, training=training, seed=self.seed)
        given = self._liked_rows(state)
        people = [user for user in given if len(given[user]) and (after is None or len(after.get(user, [])))]
        if not people:
            return None
        items = len(self.catalogue)
        if len(people) * items > CELLS:
            raise DataError(f"{self.name}: {len(people):,} users of {items:,} items are too many for learns='sets'.")
        features = simple_rankings.flags([given[user] for user in people], items)
        target = features if after is None else simple_rankings.flags([after[user] for user in people], items)
        if part.teacher is not None:  # what was known before is held fast
            target = simple_rankings.recalled(part.teacher, features, target)
        made = batches.shuffled(features, target, self.batch_size, training=training, seed=self.seed)
        return made.map(lambda x, y: (keras.ops.cast(x, "float32"), keras.ops.cast(y, "float32")))

    def _liked_rows(self, state: Histories) -> dict[str, np.ndarray]:
        """The item rows that each user liked, in the order of time, without those that are not in the catalogue."""
        found = state.rows(self.catalogue)
        return {user: (part := found[state.span(user)])[part > 0] for user in state.people}

    def _followed(self, part: Part) -> dict[str, np.ndarray]:
        """The item rows that each user liked among held-out records and had not taken before."""
        after = self._liked_rows(self.remember(part.records, Histories()))
        known = part.state.rows(self.catalogue)
        return {
            user: found[~np.isin(found, np.abs(known[part.state.span(user)]))] for user, found in after.items()
        }

    # ---- the graph that answers ---------------------------------------------

    def build_decision(self, valid: Part) -> keras.Model:
        self.__dict__["_held_out"] = valid.records, valid.state
        self.valid_ = {}
        self._scored = self._scores_model()
        past, taken = self._liked_rows(valid.state), self._followed(valid)
        people = [user for user in taken if len(taken[user]) and len(past.get(user, []))]
        judged = simple_rankings.Judged.of([past[user] for user in people], [taken[user] for user in people], self.k)
        everybody = [found for found in past.values() if len(found)]
        simple = simple_rankings.fit(everybody, len(self.catalogue), judged, self._sequences, self._deep_scores)
        self.learned_ |= simple.chosen
        self._together = simple.weights
        self._everybody = everybody
        return self._graph()

    def finish(self, both: Part) -> None:
        past = self._liked_rows(self.state_)
        self._everybody = [found for found in past.values() if len(found)]
        if self._together is not None:
            strength = self.learned_["strength"]
            self._together = simple_rankings.together(self._everybody, len(self.catalogue), strength)
        self.baseline_ = simple_rankings.arrays(self._everybody, len(self.catalogue))
        self._renew()

    def _renew(self) -> None:
        """Builds the graph anew from what was learned."""
        self.model_ = self._graph()
        self.call_, self.fast_ = fast.batch(self.model_), None

    def _scores_model(self) -> keras.Model:
        return sequence.next_item(self.network_) if self._sequences else self.network_

    def _deep_scores(self, histories: list[np.ndarray]) -> np.ndarray:
        """What the network alone says of all items (n, items) after histories."""
        filled = np.zeros((len(histories), self.learned_["places"]), "int32")
        for row, found in enumerate(histories):
            found = found[-filled.shape[1] :]
            filled[row, filled.shape[1] - len(found) :] = found
        entries = self.preprocessor_.input
        return fast.values(entries, self._scored(self.preprocessor_(entries)), {"history": filled})

    def _graph(self) -> keras.Model:
        items, limits = len(self.catalogue), self._limits
        entries = {"history": self.preprocessor_.input["history"]}
        entries["again"] = keras.Input((), name="again")
        entries |= {
            name: keras.Input((inference.LISTED,), dtype="int32", name=name) for name in ("exclude", "candidates")
        }
        history = entries["history"]
        scored = self._scores_model()
        scores = [scored(self.preprocessor_(history))]
        recent = graph.Recent(min(LOOKED, limits.places), name="looked")(history)
        if self._together is not None:
            tied = graph.Together(name="together")
            scores.append(tied(graph.Taken(items, self.learned_["decay"], name="counted")(history)))
            tied.set_weights([self._together])
        blend = graph.Blend(name="blend")
        blended = blend([history, *scores])
        blend.set_weights([self.learned_["share"], simple_rankings.popularity_scores(self._popular())])
        allowed = graph.Allowed(name="allowed")(
            [blended, history, entries["again"], entries["exclude"], entries["candidates"]]
        )
        best, values = graph.Best(limits.most, name="best")(allowed)
        shown = graph.Recent(1, name="unused") if limits.most < 1 else best[:, : min(SHOWN, limits.most)]
        if self._together is not None and self.learned_["share"] < 1:
            speaks = tied([recent, shown], between=True)
        else:
            alone, vectors = self._alone()
            layer = graph.AloneScores(items, vectors.shape[1], name="alone")
            speaks = layer([recent, shown])
            layer.set_weights([alone, vectors])
        names = graph.Names(list(self.catalogue.names), name="names")
        because = names(graph.Because(name="because")([recent, shown, speaks]))
        return keras.Model(entries, {"items": names(best), "scores": values, "because": because})
