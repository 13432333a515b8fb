"""Checkpoints: one folder that says everything about a trained model, and refuses with the cure when it cannot.

A checkpoint holds ``model.safetensors`` (the weights), ``config.json`` (what they are: format version, architecture,
the tokenizer's own description, where they come from) and ``README.md`` (the model card). Matrices are stored on the
grids of :mod:`midigen.quantization`: in format 1 all in 8 bits with one scale a row, in format 2 those of the
feed-forward part, two thirds of all weights, in 4 bits with one scale a block. The vectors of the norms stay float32
and are not folded into the matrices, so that the grid is the same for every engine that reads it. Reading needs neither
torch nor transformers.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from midigen.errors import BadRequest, CheckpointError, OutputError
from midigen.model import Size, parameter_shapes
from midigen.originality import INDEX_FILE
from midigen.quantization import BLOCK, Blocks, Matrix, Rows, to_rows

FORMAT_VERSION = 2
ROWS_ONLY = 1  # the format in which every matrix has 8 bits
WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
CARD_FILE = "README.md"
FAMILY = "llama"

_FOLDER = Path(__file__).parent / "checkpoints"


@dataclass(frozen=True)
class Checkpoint:
    """An opened checkpoint. Weights are read from the memory-mapped file when they are asked for.

    ``sha256`` is of the weight file, in hexadecimal; ``tokenizer`` and ``provenance`` are as they were saved.
    ``format_version`` says on which grids the matrices are.
    """

    path: Path
    size: Size
    vocabulary_size: int
    tokenizer: dict[str, Any]
    provenance: dict[str, Any]
    sha256: str
    format_version: int

    @property
    def architecture(self) -> dict[str, Any]:
        """Family, vocabulary size and every dial of the size, as they stand in the configuration."""
        return _architecture(self.size, self.vocabulary_size)

    @cached_property
    def _file(self) -> Any:
        from safetensors import SafetensorError, safe_open

        try:
            return safe_open(self.path / WEIGHTS_FILE, framework="numpy")
        except (SafetensorError, OSError) as error:
            raise _broken(self.path, WEIGHTS_FILE, _first_line(error)) from None

    @property
    def index_file(self) -> Path | None:
        """The index of the songs that were learned from, where the checkpoint has one."""
        path = self.path / INDEX_FILE
        return path if path.is_file() else None

    def quantized(self, name: str) -> Matrix:
        """The matrix called ``name``, on its grid."""
        numbers, scale = self._file.get_tensor(name), self._file.get_tensor(_scale_name(name))
        return Blocks(numbers, scale) if _in_blocks(name, self.format_version) else Rows(numbers, scale)

    def vector(self, name: str) -> np.ndarray:
        """The float32 vector called ``name``, the weight of a norm."""
        return self._file.get_tensor(name)

    def weights(self) -> dict[str, np.ndarray]:
        """Every weight in float32, by the names of :func:`midigen.model.parameter_shapes`."""
        return {
            name: self.quantized(name).floats() if len(shape) == 2 else self.vector(name)
            for name, shape in parameter_shapes(self.size, self.vocabulary_size).items()
        }


def save_checkpoint(
    folder: str | Path,
    state: Mapping[str, np.ndarray | Matrix],
    size: Size,
    tokenizer: Mapping[str, Any],
    provenance: Mapping[str, Any],
    card: str | None = None,
    originality: bytes | None = None,
) -> Path:
    """Write a checkpoint and return its folder. The same arguments give the same bytes.

    ``state``: float weights by name, as :func:`midigen.model.state_of` gives them; matrices may be on their grid
    already, and those that are not are put on that of 8 bits. With one matrix of the feed-forward part in 4 bits, all
    of that part have to be. ``tokenizer`` and ``provenance`` are kept as JSON and not looked into. ``card``: the text
    of the model card; ``originality``: an index of the songs learned from (:mod:`midigen.originality`). Everything is
    written to a folder beside, which then takes the place of the old one, so that nobody finds half a checkpoint. Files
    of the user's own in a checkpoint that is replaced are kept. Raises :class:`CheckpointError` for weights that do not
    fit ``size`` and :class:`OutputError` when ``folder`` holds something else or cannot be written.
    """
    from safetensors.numpy import save

    folder = Path(os.path.abspath(folder))
    vocabulary_size = state["model.embed_tokens.weight"].shape[0] if "model.embed_tokens.weight" in state else 0
    shapes = parameter_shapes(size, vocabulary_size)
    version = FORMAT_VERSION if any(isinstance(value, Blocks) for value in state.values()) else ROWS_ONLY
    tensors: dict[str, np.ndarray] = {}
    for name in sorted(shapes.keys() | state.keys()):
        if name not in shapes or name not in state or state[name].shape != shapes[name]:
            found = state[name].shape if name in state else "missing"
            wanted = shapes.get(name, "absent")
            raise CheckpointError(
                f"weights do not fit the size: {name} is {found}, not {wanted}; give the size trained"
            )
        value = state[name]
        if len(shapes[name]) == 1 and isinstance(value, np.ndarray):
            tensors[name] = np.ascontiguousarray(value, dtype=np.float32)
            continue
        matrix = to_rows(value) if isinstance(value, np.ndarray) else value
        if isinstance(matrix, Blocks) != _in_blocks(name, version):
            raise CheckpointError(f"{name} is not on the grid of format {version}; round all of the feed-forward part")
        tensors[name] = matrix.packed if isinstance(matrix, Blocks) else matrix.codes
        tensors[_scale_name(name)] = matrix.scale
    weights = save(tensors)
    config = {
        "format_version": version,
        "architecture": _architecture(size, vocabulary_size),
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "tokenizer": dict(tokenizer),
        "provenance": dict(provenance),
    }
    files = {WEIGHTS_FILE: weights, CONFIG_FILE: (json.dumps(config, indent=1, ensure_ascii=False) + "\n").encode()}
    if card is not None:
        files[CARD_FILE] = card.encode()
    if originality is not None:
        files[INDEX_FILE] = originality
    _put_in_place(folder, files)
    return folder


def _put_in_place(folder: Path, files: Mapping[str, bytes]) -> None:
    if folder.exists() and not (folder / CONFIG_FILE).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder}: is there and is not a checkpoint; choose another folder or remove it")
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.new")
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        for name, data in files.items():
            (beside / name).write_bytes(data)
        if folder.exists():
            for entry in folder.iterdir():
                if entry.name not in (WEIGHTS_FILE, CONFIG_FILE, CARD_FILE, INDEX_FILE):
                    _copy(entry, beside / entry.name)
            os.rename(folder, aside)
            try:
                os.rename(beside, folder)
            except OSError:
                os.rename(aside, folder)
                raise
            shutil.rmtree(aside, ignore_errors=True)
        else:
            os.rename(beside, folder)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written ({error.strerror}); free some space or choose another folder"
        ) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy2(source, target)


def open_checkpoint(path: str | Path | None = None) -> Checkpoint:
    """Open a checkpoint: a folder, the name of one that comes with the package, or ``None`` for the default.

    The weight file is checked against its hash, so damage is found here and not in the music. Raises
    :class:`CheckpointError` when the folder or a file is missing, broken, or of a newer format.
    """
    folder = _resolve(path)
    config = _read_config(folder)
    version = config.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise _broken(folder, CONFIG_FILE, "no format version")
    if version > FORMAT_VERSION:
        raise CheckpointError(
            f"{folder}: checkpoint format {version} is newer than this midigen reads ({FORMAT_VERSION}); update midigen"
        )
    try:
        architecture = dict(config["architecture"])
        if architecture.pop("family") != FAMILY:
            raise CheckpointError(f"{folder}: unknown architecture; this midigen reads {FAMILY!r}; update midigen")
        vocabulary_size = int(architecture.pop("vocabulary_size"))
        size = Size(**architecture)
        tokenizer, provenance = dict(config["tokenizer"]), dict(config["provenance"])
        expected_sha256 = str(config["weights_sha256"])
    except (KeyError, TypeError, ValueError, BadRequest) as error:
        raise _broken(folder, CONFIG_FILE, _first_line(error)) from None
    try:
        with open(folder / WEIGHTS_FILE, "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise CheckpointError(f"{folder}: {WEIGHTS_FILE} is missing; copy the whole folder again") from None
    except OSError as error:
        raise _broken(folder, WEIGHTS_FILE, error.strerror or "unreadable") from None
    if sha256 != expected_sha256:
        raise _broken(folder, WEIGHTS_FILE, "its SHA-256 differs from the one in config.json")
    checkpoint = Checkpoint(folder, size, vocabulary_size, tokenizer, provenance, sha256, version)
    _check_tensors(checkpoint)
    return checkpoint


def _check_tensors(checkpoint: Checkpoint) -> None:
    """The file's header against the architecture, so that engines may trust names, types and shapes."""
    expected: dict[str, tuple[str, list[int]]] = {}
    for name, shape in parameter_shapes(checkpoint.size, checkpoint.vocabulary_size).items():
        if len(shape) == 2 and _in_blocks(name, checkpoint.format_version):
            if shape[1] % BLOCK:
                raise _broken(checkpoint.path, CONFIG_FILE, f"format 2 has blocks of {BLOCK}, and {name} has none")
            expected[name] = ("U8", [shape[0], shape[1] // 2])
            expected[_scale_name(name)] = ("F32", [shape[0], shape[1] // BLOCK])
        elif len(shape) == 2:
            expected[name] = ("I8", list(shape))
            expected[_scale_name(name)] = ("F32", [shape[0]])
        else:
            expected[name] = ("F32", list(shape))
    names = checkpoint._file.keys()
    found = {name: checkpoint._file.get_slice(name) for name in names}
    for name in sorted(expected.keys() | found.keys()):
        if name not in expected or name not in found:
            raise _broken(checkpoint.path, WEIGHTS_FILE, f"{name} is only in the file or only in the architecture")
        if (found[name].get_dtype(), found[name].get_shape()) != expected[name]:
            raise _broken(checkpoint.path, WEIGHTS_FILE, f"{name} has another type or shape")


def _resolve(path: str | Path | None) -> Path:
    folder = default_checkpoint_path() if path is None else Path(path)
    # A folder of songs may well be called "clean": it is not taken for the model of that name.
    if path is not None and str(path) in checkpoint_names() and not (folder / CONFIG_FILE).exists():
        return _FOLDER / str(path)
    if folder.is_dir():
        return folder
    if folder.exists():
        raise CheckpointError(f"{folder}: is a file; give the folder of the checkpoint")
    known = ", ".join(checkpoint_names()) or "none in this installation"
    raise CheckpointError(f"{folder}: no such checkpoint; give a folder, or the name of one that is installed: {known}")


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / CONFIG_FILE).read_text("utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{folder}: {CONFIG_FILE} is missing; give the folder of a checkpoint") from None
    except OSError as error:
        raise _broken(folder, CONFIG_FILE, error.strerror or "unreadable") from None
    except (ValueError, RecursionError) as error:
        raise _broken(folder, CONFIG_FILE, _first_line(error)) from None
    if not isinstance(config, dict):
        raise _broken(folder, CONFIG_FILE, "not a JSON object")
    return config


def default_checkpoint_path() -> Path:
    """The folder of the checkpoint that comes with the package; whether it is there is found when it is opened."""
    return _FOLDER / "default"


def checkpoint_names() -> list[str]:
    """Names of the checkpoints that come with the package, sorted."""
    if not _FOLDER.is_dir():
        return []
    return sorted(entry.name for entry in _FOLDER.iterdir() if (entry / CONFIG_FILE).is_file())


def _architecture(size: Size, vocabulary_size: int) -> dict[str, Any]:
    return {"family": FAMILY, "vocabulary_size": vocabulary_size, **asdict(size)}


def _in_blocks(name: str, version: int) -> bool:
    """Whether the matrix called ``name`` has 4 bits in this format."""
    return version > ROWS_ONLY and is_feed_forward(name)


def is_feed_forward(name: str) -> bool:
    """Whether ``name`` is a matrix of the feed-forward part."""
    return ".mlp." in name


def _scale_name(name: str) -> str:
    return name + ".scale"


def _broken(folder: Path, file: str, reason: str) -> CheckpointError:
    return CheckpointError(f"{folder}: {file} is damaged ({reason}); copy or train the checkpoint again")


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0][:120]}" if lines else type(error).__name__
