"""Simulate TheEye for demos and tests: gateway, supervisor and agent in one process, with SQLite."""

import threading
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from flask import Flask

from sandbox.agent import Agent
from sandbox.gateway import gateway
from sandbox.identity import CUSTOMER, CUSTOMER_ID, PASSWORD, TOKEN, USER
from sandbox.loading import BUILT_IN, load_recipes
from sandbox.notify import Notifier, NotifierError, NullNotifier, RedisNotifier
from sandbox.recipes import Task
from sandbox.server import ListenError, Server
from sandbox.store import Store, StoreError
from sandbox.supervisor import supervisor
from sandbox.web import install
from sandbox.workflow_recipes import Workflow
from sandbox.workflow_runs import WorkflowRuns
from sandbox.workflows import workflows

__all__ = [
    "CUSTOMER",
    "CUSTOMER_ID",
    "PASSWORD",
    "TOKEN",
    "USER",
    "ListenError",
    "NotifierError",
    "Sandbox",
    "StoreError",
    "Task",
    "Workflow",
]


class Sandbox:
    """Run one sandbox; a context manager that starts and stops it."""

    def __init__(
        self,
        bind: tuple[str, int] = ("127.0.0.1", 0),
        database: str | Path = ".sandbox/theeye.sqlite3",
        tasks: Iterable[str | Path] = (),
        redis_url: str = "",
    ) -> None:
        self._bind = bind
        self._database = Path(database)
        self._redis_url = redis_url
        self._server: Server | None = None
        self._cleanup = ExitStack()
        recipes = load_recipes([BUILT_IN, *map(Path, tasks)])
        self.tasks: dict[str, Task] = recipes.tasks
        self.workflows: dict[str, Workflow] = recipes.workflows
        self._all_tasks = recipes.all_tasks()

    def start(self) -> Self:
        """Start everything; the sandbox is listening when this returns."""
        with ExitStack() as cleanup:
            app = Flask(__name__, static_folder=None)
            install(app)
            # Open the port before the database: a second sandbox, started by mistake, must not change the database.
            server = Server(*self._bind, app)
            cleanup.callback(server.stop)
            store = Store(self._database)
            cleanup.callback(store.close)
            stopping = threading.Event()
            self._assemble(app, store, stopping, cleanup)
            server.start()
            # Cleanup runs in reverse order: no request is left when the agent and the store are closed.
            cleanup.callback(server.stop)
            cleanup.callback(stopping.set)
            self._server = server
            self._cleanup = cleanup.pop_all()
        return self

    def stop(self) -> None:
        """Stop everything and kill running scripts; a second call does nothing."""
        self._cleanup.close()
        self._server = None

    @property
    def address(self) -> tuple[str, int]:
        """Return host and port. Raise RuntimeError unless the sandbox is running."""
        if self._server is None:
            raise RuntimeError("the sandbox is not running")
        host, port = self._server.socket.getsockname()[:2]
        return host, port

    @property
    def url(self) -> str:
        """Return the URL of gateway and supervisor. Raise RuntimeError unless the sandbox is running."""
        host, port = self.address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _assemble(self, app: Flask, store: Store, stopping: threading.Event, cleanup: ExitStack) -> None:
        store.add_token(TOKEN, CUSTOMER, expires=None)
        notifier: Notifier = RedisNotifier(self._redis_url) if self._redis_url else NullNotifier()
        cleanup.callback(notifier.close)
        agent = Agent(store, self._all_tasks, notifier)
        cleanup.callback(agent.stop)
        runs = WorkflowRuns(store, self.workflows, agent, notifier)
        cleanup.callback(runs.stop)
        agent.when_ended = runs.job_ended
        app.register_blueprint(gateway(store, stopping))
        app.register_blueprint(supervisor(store, self._all_tasks, agent, notifier))
        app.register_blueprint(workflows(store, self.workflows, runs))
        runs.start()
        agent.start()
