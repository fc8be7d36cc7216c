"""Scores many drives: one after another, in processes of this machine, or on a Ray cluster.

A drive's results depend on the drive and the protocol alone, so every way gives the same octets. The parent alone writes; workers
hand back a drive's file as octets. A drive that cannot be scored is named at the end and loses none of the others.
On Ray the drives must stand where every node reads them; RAY_ADDRESS names a cluster, else one is started here.
Source: Ray tasks, https://docs.ray.io/en/latest/ray-core/tasks.html.
"""
from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from data_specs.errors import InputError, RoadweaveError, UnknownFormat
from replay.console import progress
from replay.evaluate import Scoring, drive_result, left_out, open_scored
from replay.results_folder import Shard, require_new, to_bytes, write_bytes, write_shard

ENGINES = ("processes", "ray")


@dataclass(frozen=True, slots=True)
class Scored:
    """What became of one drive: its file's octets, or why there are none."""

    path: Path
    data: bytes
    error: str  # "" where it was scored
    note: str = ""  # what a reader must know


@dataclass(frozen=True, slots=True)
class Done:
    """Ids of the drives that were scored, by path, and what is wrong with the others."""

    drives: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]  # path, error
    notes: tuple[str, ...] = ()  # what a reader must know

    def require_all(self) -> None:
        """InputError that names every drive that could not be scored."""
        if self.failed:
            told = "; ".join(f"{path}: {error}" for path, error in self.failed)
            raise InputError("evaluate", f"{len(self.failed)} of {len(self.failed) + len(self.drives)} drives not scored",
                             "drives that can be, the others' results are kept", told)


def evaluate_into(paths: Sequence[Path], scoring: Scoring, out: Path, shard: Shard | None = None, workers: int = 1,
                  engine: str = "processes") -> Done:
    """Score every drive, or those of one shard, each into a file of its own. Several shards may share `out`.

    InputError where there are results already, or two drives have one id; UnknownFormat for an engine that is not known.
    """
    if engine not in ENGINES:
        raise UnknownFormat("--engine", repr(engine), f"one of {', '.join(ENGINES)}")
    if shard is None:
        require_new(out)
    names = _ids(sorted(set(paths)))
    out.mkdir(parents=True, exist_ok=True)
    chosen = sorted(names) if shard is None else shard.of(sorted(names))
    failed, notes = [], []
    made = _in_ray(chosen, scoring, workers) if engine == "ray" else _here(chosen, scoring, workers)
    for scored in progress(made, "scoring", total=len(chosen)):
        if scored.error:
            failed.append((str(scored.path), scored.error))
        else:
            write_bytes(out, names[scored.path], scored.data)
            notes += [scored.note] if scored.note else []
    wrong = {path for path, _ in failed}
    done = [names[path] for path in chosen if str(path) not in wrong]
    if shard is not None and not failed:  # a shard that lacks a drive is not done: merge says so
        write_shard(out, shard, done)
    return Done(tuple(done), tuple(sorted(failed)), tuple(sorted(notes)))


def score_one(path: Path, scoring: Scoring, folder: Path) -> Scored:
    """A drive's results as a file's octets; `folder` is where `path` leads, for a process that starts elsewhere.

    Whatever is wrong with the drive is told and not raised, since the others go on.
    """
    try:
        data = to_bytes(drive_result(folder, scoring, str(path)))
        return Scored(path, data, "", left_out(open_scored(folder, scoring), scoring.protocol))
    except RoadweaveError as error:
        return Scored(path, b"", str(error))
    except Exception as error:
        return Scored(path, b"", f"{type(error).__name__}: {error}")


def _ids(paths: Sequence[Path]) -> dict[Path, str]:
    """Ids by path; a drive that does not open has its path for one, since it will be told when it is scored."""
    from replay.recorded import open_drive

    paths_by_id: dict[str, Path] = {}
    for path in paths:
        try:
            name = open_drive(path).info.drive_id
        except (RoadweaveError, OSError):
            name = str(path)
        if name in paths_by_id:
            raise InputError(path, f"drive {name!r}, as {paths_by_id[name]} is too", "drives with ids of their own")
        paths_by_id[name] = path
    return {path: name for name, path in paths_by_id.items()}


def _here(paths: Sequence[Path], scoring: Scoring, workers: int) -> Iterator[Scored]:
    """In this process, or in `workers` others; a drive on which a process dies is tried once more, alone."""
    if workers == 1 or len(paths) < 2:
        yield from (score_one(path, scoring, path) for path in paths)
        return
    left = list(paths)
    try:
        for scored in _in_processes(paths, scoring, workers):
            left.remove(scored.path)
            yield scored
    except BrokenProcessPool:
        for path in left:
            yield _alone(path, scoring)


def _in_processes(paths: Sequence[Path], scoring: Scoring, workers: int) -> Iterator[Scored]:
    with ProcessPoolExecutor(min(workers, len(paths)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(score_one, paths, [scoring] * len(paths), paths)


def _alone(path: Path, scoring: Scoring) -> Scored:
    try:
        return next(_in_processes([path], scoring, 1))
    except BrokenProcessPool:
        return Scored(path, b"", "the process that scored it died, as for want of memory")


def _in_ray(paths: Sequence[Path], scoring: Scoring, workers: int) -> Iterator[Scored]:
    import ray  # pyright: ignore[reportMissingImports]

    if "RAY_ADDRESS" in os.environ:
        ray.init()
    else:
        ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False)
    try:
        score = ray.remote(score_one)
        for task in [score.remote(path, scoring, path.resolve()) for path in paths]:
            yield ray.get(task)
    finally:
        ray.shutdown()

