"""The two ways in which a network learns what to recommend: by what follows what, and by what goes with what.

Both give the same things: what of a history the network sees, the network, what it learns from, and its scores.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np

from apptemplates.data import histories, interactions
from apptemplates.data.histories import Rows
from apptemplates.data.schema import DataError
from apptemplates.layers import item_networks, ranking, sequence

PLACES = 50  # of a history that a network of sequences looks at
JUDGED = 4_000  # people by whom a network of sequences is judged while it learns
SAMPLED = 20_000  # items up to which the loss takes all of them, and above a sample of so many
CELLS = 2_000_000_000  # users times items that a network of sets can learn from

Examples = tuple[np.ndarray, np.ndarray] | None


@dataclass(frozen=True)
class Sequences:
    """What follows what: a self-attentive network, taught by every step of every history.

    Args:
        owner: Name of the template, for messages.
        items: Number of items.
        seed: Of what is drawn by chance.

    Reference: Kang and McAuley, 2018, Self-Attentive Sequential Recommendation, arXiv:1808.09781.
    """

    owner: str
    items: int
    seed: int

    ordered: ClassVar[bool] = True
    # what it ranks goes on getting better when the loss no longer does
    patience: ClassVar[int | None] = None
    rate: ClassVar[float] = 3.0  # factor on the learning rate: attention begins to learn late at small steps

    def preprocessor(self, places: int) -> keras.Model:
        """From {"history"} (n, places) to its latest rows."""
        return seeing(ranking.Recent(PLACES, name="recent"), places)

    def network(self) -> keras.Model:
        """From these rows to what has been taken up to each place."""
        return sequence.next_item_network(self.items, PLACES, 64, dropout=0.3)

    def objective(self, network: keras.Model, learning_rate: float) -> dict[str, Any]:
        """The arguments of `compile`; the loss needs the items' vectors of the network that learns."""
        sampled = SAMPLED if self.items > SAMPLED else 0
        loss = sequence.next_item_loss(network.get_layer("items"), sampled, self.seed)
        return {"optimizer": keras.optimizers.AdamW(learning_rate, weight_decay=1e-4), "loss": loss}

    def passes(self, epochs: int) -> int:
        """Of so many epochs, those that are needed."""
        return max(1, 2 * epochs // 3)

    def at_once(self, batch_size: int) -> int:
        """Rows of a batch of so many people, several of whom stand in one row."""
        return max(1, batch_size // 16)

    def examples(self, given: Rows, taken: Rows | None = None, teacher: Any = None) -> Examples:
        """Rows of items, and what comes next at each place; see `interactions.packed`. None where there is no step.

        Args:
            given: What each user liked.
            taken: What they took afterwards, the first of which is to be foretold, of so many people at most; None to
                learn every step of what is given.
            teacher: Not asked: where it goes on learning, what a network knew is kept by its weights alone.
        """
        if taken is None:
            known = [items for items in given.values() if len(items) > 1]
        else:
            people = histories.judgeable(given, taken)
            some = np.random.default_rng(self.seed).permutation(len(people))[:JUDGED]
            known = [np.concatenate([given[people[i]], taken[people[i]][:1]]) for i in some]
        return interactions.packed(known, PLACES, last_only=taken is not None) if known else None

    def scored(self, network: keras.Model) -> keras.Model:
        """The network with a score for every item."""
        return sequence.next_item(network)

    def vectors(self, network: keras.Model) -> np.ndarray:
        """One vector an item, (items, d)."""
        return np.asarray(network.get_layer("items").vectors)


@dataclass(frozen=True)
class Sets:
    """What goes with what: a variational autoencoder over everything that each user took.

    Args:
        owner: Name of the template, for messages.
        items: Number of items.
        seed: Of what is drawn by chance.

    Reference: Liang et al., 2018, Variational Autoencoders for Collaborative Filtering, arXiv:1802.05814.
    """

    owner: str
    items: int
    seed: int

    ordered: ClassVar[bool] = False
    patience: ClassVar[int | None] = 6
    rate: ClassVar[float] = 1.0

    def preprocessor(self, places: int) -> keras.Model:
        """From {"history"} (n, places) to which items stand in it."""
        return seeing(ranking.Taken(self.items, name="taken"), places)

    def network(self) -> keras.Model:
        """From these to a score for every item."""
        width = 600 if self.items > 1000 else 200
        return item_networks.set_network(self.items, width, width // 3, 1000, self.seed)

    def objective(self, network: keras.Model, learning_rate: float) -> dict[str, Any]:
        """The arguments of `compile`."""
        rule = keras.optimizers.AdamW(learning_rate, weight_decay=0.0)
        return {"optimizer": rule, "loss": item_networks.taken_loss, "steps_per_execution": 8}

    def passes(self, epochs: int) -> int:
        """Of so many epochs, those that are needed."""
        return epochs

    def at_once(self, batch_size: int) -> int:
        """Rows of a batch of so many people."""
        return batch_size

    def examples(self, given: Rows, taken: Rows | None = None, teacher: Any = None) -> Examples:
        """Flags (n, items) of what users liked, and of what they are to be told; None where there is no user.

        Args:
            given: What each user liked.
            taken: What they took afterwards, which is to be foretold; None to learn what is given.
            teacher: The network before it went on learning: what it knew is held fast.

        Raises:
            DataError: There are too many users and items.
        """
        people = [user for user in given if len(given[user]) and (taken is None or len(taken.get(user, [])))]
        if len(people) * self.items > CELLS:
            raise DataError(
                f"{self.owner}: {len(people):,} users of {self.items:,} items are too many for learns='sets'."
            )
        if not people:
            return None
        features = item_networks.flags([given[user] for user in people], self.items)
        target = features if taken is None else item_networks.flags([taken[user] for user in people], self.items)
        if teacher is not None:
            target = item_networks.recalled(teacher, features, target)
        return features, target

    def scored(self, network: keras.Model) -> keras.Model:
        """The network, which gives a score for every item."""
        return network

    def vectors(self, network: keras.Model) -> np.ndarray:
        """One vector an item, (items, d)."""
        return np.asarray(network.get_layer("items").kernel).T


KINDS: dict[str, type[Sequences] | type[Sets]] = {"sequences": Sequences, "sets": Sets}


def seeing(layer: keras.layers.Layer, places: int) -> keras.Model:
    """The model named "preprocessor" from {"history"} (n, places) to what a layer makes of it."""
    history = keras.Input((places,), dtype="int32", name="history")
    return keras.Model({"history": history}, layer(history), name="preprocessor")
