"""Calls while nothing fails: before the soak so that everything is warm, and around each look at the resources."""

import time
from concurrent.futures import ThreadPoolExecutor

from soak.books import LOST, RIGHT, Books
from soak.callers import INSTANT, LONG, path_of
from soak.world import World
from support.load import ask, request_bytes
from support.processes import Service


def burst(world: World, books: Books, callers: int) -> None:
    """Fill all pools and threads, with twice as many callers at once as later."""
    calls = [(service, number) for number in range(2 * callers) for service in world.services.values()]
    with ThreadPoolExecutor(len(calls)) as pool:
        list(pool.map(lambda call: once(call[0], books, LONG[0], call[1]), calls))


def trickle(world: World, books: Books, seconds: float) -> None:
    """Make a little traffic, which closes connections that were idle for too long."""
    end = time.monotonic() + seconds
    with ThreadPoolExecutor(4) as pool:
        while time.monotonic() < end:
            for service in world.services.values():
                list(pool.map(lambda number, service=service: once(service, books, INSTANT, number), range(4)))
            time.sleep(0.2)


def once(service: Service, books: Books, task: str, number: int) -> None:
    """Make one call, every other one with a key."""
    page = books.open("calm")
    headers = {"Idempotency_Key": f"key-{page.argument}"} if number % 2 else {}
    got = ask(service, request_bytes(page.argument, target=path_of(task), **headers))
    right = got.body == [page.argument] and got.job_id in page.jobs
    books.note(page, RIGHT if right else LOST, why=f"{got.error or got.response}")
    books.settle(page)
