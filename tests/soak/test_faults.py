"""Test the soak's faults: the target is chosen at the time of the strike, and only if one may be struck."""

import threading
from types import SimpleNamespace
from typing import Any

from soak.books import Windows
from soak.faults import Faults, Kind


def made_world(*strikeable: list[str]) -> Any:
    """Return a world in which nothing takes time; `strikeable` has the possible targets for each question."""
    answers = iter(strikeable)
    rng = SimpleNamespace(shuffle=lambda turn: None, choice=lambda found: found[0])
    return SimpleNamespace(
        rng=rng,
        pause=lambda *seconds: None,
        windows=Windows(),
        stop=threading.Event(),
        strikeable=lambda: next(answers, []),
    )


def fired(*strikeable: list[str]) -> tuple[list[str], list[str]]:
    """Fire a strike and then the fault that ends the run; return the services that were struck, and the complaints."""
    struck, complaints, world = list[str](), list[str](), made_world(*strikeable)
    strike = Kind("strike", lambda _, service: struck.append(service), strikes=True)
    Faults(world, (0, 0), complaints.append, [strike, Kind("last", lambda _: world.stop.set())]).run()
    return struck, complaints


def test_a_strike_is_left_out_where_nothing_may_be_struck() -> None:
    assert fired() == ([], [])


def test_time_may_move_on_once_a_service_is_chosen() -> None:
    assert fired(["gevent"], []) == (["gevent"], [])


def test_a_fault_that_fails_is_a_complaint() -> None:
    world, complaints = made_world(), list[str]()

    def fail(world: Any) -> None:
        world.stop.set()
        raise OSError("no such process")

    Faults(world, (0, 0), complaints.append, [Kind("broken", fail)]).run()
    assert complaints == ["the fault 'broken' could not be fired or healed: OSError('no such process')"]
    assert world.windows.counts() == {"broken": 1}
