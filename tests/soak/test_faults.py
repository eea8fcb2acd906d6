"""The soak's faults: what is struck is chosen when it is struck, and only where something may be struck."""

import random
import threading
from types import SimpleNamespace
from typing import Any, cast

from soak.books import Windows
from soak.faults import Faults, Kind
from soak.world import World


def fired(strikeable: list[list[str]]) -> tuple[list[str], list[str]]:
    """Fire a strike and then the fault that ends the run; return the services that were struck, and the complaints.

    `strikeable` is what may be struck each time that somebody asks; an empty list afterwards.
    """
    answers, struck, complaints = iter(strikeable), [], list[str]()
    world = made_world(lambda: next(answers, []))
    strike = Kind("strike", lambda _, service: struck.append(service), strikes=True)
    Faults(world, (0, 0), complaints.append, [strike, Kind("last", lambda _: world.stop.set())]).run()
    return struck, complaints


def made_world(strikeable: Any) -> World:
    nothing = cast(Any, SimpleNamespace())
    in_turn = cast(random.Random, InTurn())
    return World(nothing, nothing, nothing, {}, {}, Windows(), in_turn, threading.Event(), strikeable)


class InTurn(random.Random):
    """Leaves the order of the faults as it is."""

    def shuffle(self, x: Any) -> None:
        pass


def test_a_strike_is_left_out_where_nothing_may_be_struck() -> None:
    assert fired([]) == ([], [])


def test_time_may_move_on_once_a_service_is_chosen() -> None:
    assert fired([["gevent"], []]) == (["gevent"], [])


def test_a_fault_that_fails_is_a_complaint() -> None:
    world = made_world(list)
    complaints = list[str]()

    def fail(world: World) -> None:
        world.stop.set()
        raise OSError("no such process")

    Faults(world, (0, 0), complaints.append, [Kind("broken", fail)]).run()
    assert complaints == ["the fault 'broken' could not be fired or healed: OSError('no such process')"]
    assert world.windows.counts() == {"broken": 1}
