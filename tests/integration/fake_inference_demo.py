"""Stands in for NxD Inference's ``inference_demo``: writes what it writes, in its order.

``neuron_config.json`` comes first, before any tracing, then ``model.pt``, then the sharded weights;
and the work folder is emptied at the beginning, whoever else works there. ``--fault`` says what
goes wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import struct
import sys
import time
import zipfile
from pathlib import Path

SAMPLING = {"do_sample": True, "global_topk": 64, "dynamic": True}


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def trace(work: Path) -> None:
    """Empty the work folder, as NxD's ModelBuilder does, and work there."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    say("Generating HLOs for the following models: ['context_encoding_model']")
    (work / "graph.hlo").write_text("graph")


def write_model(path: Path, *, is_cut_off: bool) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("model/data.pkl", b"0" * 4096)
    if is_cut_off:
        os.truncate(path, 2000)


def write_weights(folder: Path, ranks: int) -> None:
    folder.mkdir()
    header = json.dumps({"w": {"dtype": "U8", "shape": [8], "data_offsets": [0, 8]}}).encode()
    for rank in range(ranks):
        data = struct.pack("<Q", len(header)) + header + b"\0" * 8
        (folder / f"tp{rank}_sharded_checkpoint.safetensors").write_bytes(data)


def fail_unless_tried_before(mark: Path | None) -> None:
    """Fail as it sometimes does: always where there is no mark to tell a second try."""
    if mark is None or not mark.exists():
        if mark is not None:
            mark.touch()
        say("neuronx-cc failed with 70: error in tp_barrier")
        sys.exit(70)


def leave_a_daemon() -> None:
    """Leave a process that belongs to no group of ours and does not end when asked to."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            signal.pause()
        os._exit(0)
    os.wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--compiled-model-path", type=Path, required=True)
    parser.add_argument("--tp-degree", type=int, required=True)
    parser.add_argument("--fault", default=os.environ.get("FAKE_FAULT", ""))
    parser.add_argument("--mark", type=Path)
    options, _ = parser.parse_known_args()
    folder, fault = options.compiled_model_path, options.fault
    folder.mkdir(parents=True, exist_ok=True)
    config = {"tp_degree": options.tp_degree, "on_device_sampling_config": SAMPLING}
    (folder / "neuron_config.json").write_text(json.dumps({"neuron_config": config}))
    if fault == "daemon":
        leave_a_daemon()
    if fault == "flake":
        fail_unless_tried_before(options.mark)
    trace(Path(os.environ["BASE_COMPILE_WORK_DIR"]))
    if fault in {"hang", "daemon"}:
        say("compiling")
        signal.pause()
    if fault == "abort":
        say("OSError: [Errno 28] No space left on device")
        sys.exit(1)
    if fault == "no-model":
        return
    if fault == "wait":
        while not options.mark.exists():
            time.sleep(0.01)
    write_model(folder / "model.pt", is_cut_off=fault == "truncate")
    say("Sharding weights for ranks: 0...1")
    write_weights(folder / "weights", options.tp_degree)
    shutil.rmtree(os.environ["BASE_COMPILE_WORK_DIR"])
    say("Compiling and tracing time: 1 seconds")


if __name__ == "__main__":
    main()
