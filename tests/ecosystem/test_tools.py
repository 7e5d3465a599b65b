"""Tools for HDF5 and Zarr that know nothing of this package: what docs/tools.md says of them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray
from obspec_utils.registry import ObjectStoreRegistry
from obstore.store import LocalStore
from virtualizarr.parsers import HDFParser

import ann_ckpt
from ann_ckpt import CheckpointStore, NetworkState, PopulationState

HERE = Path(__file__).parent / "tools"
GROUP = "populations/layer/variables"
# Bytes at random, which no compression shortens, so that their chunks are stored with the filters masked.
CODE = np.random.default_rng(0).integers(0, 1 << 63, 50_000)
RATES = np.arange(50_000) / 8


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file with the default compression, one for every tool, a checkpoint in a store, the same exported."""
    folder = tmp_path_factory.mktemp("tools")
    layer = PopulationState("layer", CODE.shape, variables={"code": CODE, "r": RATES})
    state = NetworkState(populations={"layer": layer}, time_step=3, dt=1.0)
    ann_ckpt.write(state, folder / "auto.h5")
    ann_ckpt.write(state, folder / "gzip.h5", compression="gzip")
    with CheckpointStore(folder / "run.ckpt", "w") as store:
        store.save(state)
        inside = Path(store.checkpoints[-1].path)
    ann_ckpt.export(folder / "run.ckpt", folder / "exported.h5", compression="gzip")
    return {name: folder / f"{name}.h5" for name in ("auto", "gzip", "exported")} | {"store": inside}


def masks(path: Path) -> set[int]:
    with h5py.File(path) as file:
        dataset = file[f"{GROUP}/code"].id
        return {dataset.get_chunk_info(i).filter_mask for i in range(dataset.get_num_chunks())}


def test_only_gzip_has_no_masked_chunk(files: dict[str, Path]) -> None:
    assert 3 in masks(files["auto"])
    assert masks(files["gzip"]) == masks(files["exported"]) == {0}


# --- h5glance -------------------------------------------------------------------------------


def glance(path: Path, *inside: str) -> str:
    program = Path(sys.executable).with_name("h5glance")
    done = subprocess.run([program, path, *inside], capture_output=True, text=True, check=True)
    return done.stdout


def test_h5glance_shows_groups_types_and_shapes(files: dict[str, Path]) -> None:
    said = glance(files["auto"])
    assert "populations" in said
    assert "[float64: 50000]" in said
    assert "[int64: 50000]" in said


def test_h5glance_shows_where_the_arrays_of_a_store_lie(files: dict[str, Path]) -> None:
    said = glance(files["store"], GROUP)
    assert said.count("-> ../objects/") == 2
    assert "exported.h5" in glance(files["exported"])


# --- xarray ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["auto", "gzip", "store", "exported"])
def test_xarray_reads_values_through_h5netcdf(files: dict[str, Path], name: str) -> None:
    with xarray.open_dataset(files[name], engine="h5netcdf", group=GROUP, phony_dims="access") as found:
        assert np.array_equal(found["code"], CODE)
        assert np.array_equal(found["r"], RATES)


def test_xarray_with_our_engine_knows_the_names(files: dict[str, Path]) -> None:
    for path in (files["auto"], files["store"].parents[1]):
        with xarray.open_datatree(path, engine="ann_ckpt") as tree:
            assert np.array_equal(tree["populations/layer"]["r"], RATES)


# --- VirtualiZarr ---------------------------------------------------------------------------


def virtual(path: Path) -> Any:
    parser = HDFParser(group=GROUP)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # codecs and types of HDF5 that Zarr has not specified
        manifests = parser(path.as_uri(), registry=ObjectStoreRegistry({"file://": LocalStore()}))
        return xarray.open_zarr(manifests, consolidated=False, zarr_format=3).load()


@pytest.mark.parametrize("name", ["gzip", "exported"])
def test_virtualizarr_reads_files_without_masked_chunks(files: dict[str, Path], name: str) -> None:
    found = virtual(files[name])
    assert np.array_equal(found["code"], CODE)
    assert np.array_equal(found["r"], RATES)


def test_virtualizarr_ignores_masks(files: dict[str, Path]) -> None:
    with pytest.raises(Exception, match="decompress"):
        virtual(files["auto"])


def test_virtualizarr_does_not_follow_links(files: dict[str, Path]) -> None:
    with pytest.raises(AttributeError):
        virtual(files["store"])


# --- h5wasm, with which h5web reads -----------------------------------------------------------


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("h5wasm")
    for name in ("package.json", "package-lock.json", "read.mjs"):
        shutil.copy(HERE / name, folder)
    npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    done = subprocess.run(npm, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def wasm(library: Path, path: Path) -> dict[str, Any]:
    command = ["node", "read.mjs", path, f"{GROUP}/r"]
    done = subprocess.run(command, cwd=library, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", ["auto", "gzip", "store", "exported"])
def test_h5wasm_reads_values(library: Path, files: dict[str, Path], name: str) -> None:
    found = wasm(library, files[name])
    assert {"populations", "projections", "metadata"} <= set(found["keys"])
    assert np.array_equal(np.array(found["values"], float), RATES)


def test_h5wasm_shows_no_values_where_the_objects_are_not(
    library: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    """As in a browser, which is given one file."""
    alone = Path(shutil.copy(files["store"], tmp_path))
    found = wasm(library, alone)
    assert "populations" in found["keys"]
    assert "values" not in found
