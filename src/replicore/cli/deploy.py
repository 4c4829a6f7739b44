"""``replicore up``, and the commands that talk to what it started."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Annotated

import msgspec
import typer
import uvloop
from rich.console import Console

from replicore.cli.compile import compile_if_needed
from replicore.cli.deployment_view import admin_line, counters, headline, troubles, units_table
from replicore.cli.detach import let_go, run_detached
from replicore.cli.download import shown_download
from replicore.cli.findings import heed
from replicore.cli.serving import serve
from replicore.cli.settings import Set, settings_given
from replicore.deploy import control
from replicore.deploy.deployment import Deployment, lay_out_and_claim, prepare
from replicore.deploy.logs import LogReader
from replicore.deploy.programs import GATEWAY, is_worker
from replicore.deploy.state import (
    Claims,
    log_files,
    no_such_replica,
    read_record,
    state_root,
)
from replicore.errors import INTERRUPTED_EXIT_CODE
from replicore.spec import Spec, load_spec

_DOWN_TIMEOUT_S = 600.0
_FOLLOW_S = 0.2

SpecPath = Annotated[Path | None, typer.Argument(metavar="SPEC", help="Spec file.")]
Name = Annotated[str | None, typer.Option(help="Name of the deployment.")]
NameArgument = Annotated[
    str | None, typer.Argument(metavar="NAME", help="Deployment; may be left out if one runs.")
]
Detach = Annotated[bool, typer.Option("-d", "--detach", help="Leave it running, once ready.")]
Engine = Annotated[str | None, typer.Option(help="llamacpp, sim, ...")]
Model = Annotated[str | None, typer.Option(help="Repository, folder, file or built-in model.")]
Replicas = Annotated[str | None, typer.Option(help='Copies of the model, or "auto".')]
Tp = Annotated[str | None, typer.Option(help='Cores of one replica, or "auto".')]
Cores = Annotated[str | None, typer.Option(help="Cores to use, such as 0-3.")]
Host = Annotated[str | None, typer.Option(help="Address to listen on.")]
Port = Annotated[str | None, typer.Option(help="Port to listen on; 0 takes any free one.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Gateway processes.")]
Insecure = Annotated[
    bool, typer.Option("--insecure", help="Serve other machines without API keys.")
]
CompileFirst = Annotated[
    bool, typer.Option("--compile", help="Make first what replicas start from, if it is not there.")
]
ReadyFd = Annotated[int | None, typer.Option(hidden=True)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Follow = Annotated[bool, typer.Option("-f", "--follow", help="Go on as more is printed.")]
LastLines = Annotated[int, typer.Option("-n", "--lines", min=0, help="Lines to begin with.")]
Wait = Annotated[
    bool, typer.Option("--wait/--no-wait", help="Return when it has nothing left to do.")
]
DrainedArgument = Annotated[str, typer.Argument(metavar="REPLICA", help="r0, r1, ...")]
ReplicaArgument = Annotated[
    str | None, typer.Argument(metavar="REPLICA", help="r0, r1, ... or gateway; all if left out.")
]


def up(
    spec: SpecPath = None,
    detach: Detach = False,
    name: Name = None,
    engine: Engine = None,
    model: Model = None,
    replicas: Replicas = None,
    tp: Tp = None,
    cores: Cores = None,
    host: Host = None,
    port: Port = None,
    workers: Workers = None,
    insecure: Insecure = False,
    compile_first: CompileFirst = False,
    set_: Set = None,
    ready_fd: ReadyFd = None,
) -> None:
    """Serve a model until Ctrl-C; without a SPEC, the embedded one."""
    flags: dict[str, object] = {
        "name": name,
        "engine.kind": engine,
        "model.source": model,
        "layout.replicas": replicas,
        "layout.tp": tp,
        "layout.cores": cores,
        "gateway.host": host,
        "gateway.port": port,
        "gateway.workers": workers,
        "gateway.insecure": insecure or None,
    }
    given = {key: value for key, value in flags.items() if value is not None}
    loaded = load_spec(spec, environ=os.environ, overrides={**given, **settings_given(set_ or [])})
    if detach and ready_fd is None:
        raise typer.Exit(run_detached(sys.argv[1:]))
    _up(loaded, ready_fd, compile_first=compile_first)


def status(name: NameArgument = None, json: Json = False) -> None:
    """Show replicas, gateway, layout and counters of a deployment."""
    now = control.status(control.find(state_root(), name))
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(now)))
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print(headline(now), markup=False)
    console.print(f"layout: {now.layout.reason}", markup=False)
    units = (*now.replicas, *now.gateways)
    console.print(units_table(units))
    for trouble in troubles(units):
        console.print(f"\n{trouble}", markup=False)
    if (line := counters(now)) is not None:
        console.print(line)
    console.print(admin_line(now), markup=False)


def logs(
    replica: ReplicaArgument = None,
    follow: Follow = False,
    lines: LastLines = 50,
    name: Name = None,
) -> None:
    """Print what the engines and the gateway print."""
    folder = _folder(name)
    units = _units(folder, replica)
    with ExitStack() as opened:
        readers = [
            opened.enter_context(closing(LogReader(folder, unit, last=lines))) for unit in units
        ]
        for unit, line in _read(readers, follow=follow):
            typer.echo(line if len(units) == 1 else f"{unit} | {line}")


def restart(replica: ReplicaArgument = None, name: Name = None) -> None:
    """Restart one replica, or all of them one by one."""
    control.restart(control.find(state_root(), name), replica)
    typer.echo(f"{replica or 'all replicas'} ready", err=True)


def drain(replica: DrainedArgument, wait: Wait = True, name: Name = None) -> None:
    """Send no new requests to a replica; those that it has go on.

    Ctrl-C ends the waiting only; `replicore undrain` sends requests there again.
    """
    folder = control.find(state_root(), name)
    control.drain(folder, replica, wait=False)
    if all(one.drained for one in control.status(folder).replicas):
        typer.echo("warning: every replica is drained; requests wait, and time out", err=True)
    if wait:
        control.drain(folder, replica, wait=True)
    typer.echo(f"{replica} drained{', nothing runs there' if wait else ''}", err=True)


def undrain(replica: DrainedArgument, name: Name = None) -> None:
    """Send requests to a drained replica again."""
    control.undrain(control.find(state_root(), name), replica)
    typer.echo(f"{replica} takes requests", err=True)


def down(name: NameArgument = None) -> None:
    """Stop a deployment."""
    folder = control.find(state_root(), name)
    control.down(folder, timeout=_DOWN_TIMEOUT_S)
    typer.echo(f"{folder.name} stopped", err=True)


def _up(spec: Spec, ready_fd: int | None, *, compile_first: bool) -> None:
    with shown_download() as progress:
        prepared = prepare(spec, progress=progress)
    if compile_first:
        compile_if_needed(prepared)
    deployment, folder = lay_out_and_claim(prepared, state_root())
    try:
        _say_layout(deployment)
        if not compile_first:  # what was to be said has been said before it compiled
            heed(deployment)
    except BaseException:
        folder.close()
        raise

    def announce(url: str) -> None:
        typer.echo(f"ready {url}/v1")
        if ready_fd is not None:
            let_go(ready_fd, folder.path / "up.log")

    live = sys.stderr.isatty() and ready_fd is None
    if uvloop.run(serve(deployment, folder, live=live, announce=announce)):
        raise typer.Exit(INTERRUPTED_EXIT_CODE)


def _say_layout(deployment: Deployment) -> None:
    ranges = ", ".join(f"r{i} on {cores}" for i, cores in enumerate(deployment.layout.ranges))
    typer.echo(f"layout: {deployment.layout.reason} ({ranges})", err=True)
    if deployment.engine.simulated:
        typer.echo("simulated: no model answers", err=True)
    elif deployment.machine.note:
        typer.echo(f"machine: {deployment.machine.note}", err=True)


def _folder(name: str | None) -> Path:
    """Return the folder of a deployment, also of one that has ended: its logs are still there."""
    root = state_root()
    with Claims(root) as claims:
        is_running = claims.running() != []
    ended = sorted(root.glob(f"{name or '*'}/state.json"), key=lambda path: path.stat().st_mtime)
    if ended and (name is not None or not is_running):
        return ended[-1].parent
    return control.find(root, name)


def _units(folder: Path, wanted: str | None) -> list[str]:
    """Return whose logs to read: the wanted one's, also of an earlier `up`; all if it is None."""
    record = read_record(folder)
    known = [unit.name for unit in record.units] if record else []
    if wanted is None:
        return known
    if wanted == GATEWAY and (workers := [name for name in known if is_worker(name)]):
        return workers
    if wanted not in known and not log_files(folder, wanted):
        raise no_such_replica(wanted, folder.name, known)
    return [wanted]


def _read(readers: list[LogReader], *, follow: bool) -> Iterator[tuple[str, str]]:
    """Yield unit and line of what the logs have, and with ``follow`` what they get."""
    while True:
        for reader in readers:
            for line in reader.read() if follow else reader.finish():
                yield reader.unit, line
        if not follow:
            return
        sys.stdout.flush()
        time.sleep(_FOLLOW_S)
