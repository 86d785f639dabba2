import functools
import json
import math
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from afrl_ray import storage
from afrl_ray.attacks import AttackBank, BankFileError, BankMismatchError
from afrl_ray.config import FaultSettings
from afrl_ray.perturbations import Body, make_fault

ARRAYS = ("deltas", "fitness", "environment_steps", "seeds")
SATURATION = FaultSettings(type="saturation", magnitude=0.6)


def test_a_saved_bank_is_exactly_the_same(small_bank: AttackBank, tmp_path: Path) -> None:
    path = tmp_path / "new" / "bank.npz"
    small_bank.save(path)
    loaded = AttackBank.load(path)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(loaded, name), getattr(small_bank, name))
        assert getattr(loaded, name).dtype == getattr(small_bank, name).dtype
    assert (loaded.fault, loaded.environment, loaded.policy_hash) == (FaultSettings(magnitude=0.3), "Hopper-v4", "abc")
    assert len(loaded) == 3


def test_the_file_holds_no_pickle(small_bank: AttackBank, tmp_path: Path) -> None:
    small_bank.save(tmp_path / "bank.npz")
    with np.load(tmp_path / "bank.npz", allow_pickle=False) as file:
        assert set(file) == {*ARRAYS, "manifest"}
        assert all(file[name].dtype != object for name in file)


def test_the_readable_manifest_says_what_the_bank_is(small_bank: AttackBank, tmp_path: Path) -> None:
    small_bank.save(tmp_path / "bank.npz")
    manifest = json.loads((tmp_path / "bank.json").read_text())
    assert manifest.pop("created").endswith("Z")
    assert manifest == {
        "format": "afrl_ray.bank/2",
        "policy_hash": "abc",
        "environment": "Hopper-v4",
        "fault": {"type": "multiplicative", "magnitude": 0.3},
        "epsilon": 0.3,
        "parameters": 2,
        "members": 3,
        "seeds": [7, 8, 2**31 - 1],
        "fitness": [10.0, 20.5, 1 / 3],
        "environment_steps": [100, 200, 300],
    }


def test_a_bank_from_before_other_faults_still_loads(small_bank: AttackBank, tmp_path: Path) -> None:
    manifest = {"format": "afrl_ray.bank/1", "policy_hash": "abc", "environment": "Hopper-v4", "epsilon": 0.3}
    arrays = {name: getattr(small_bank, name) for name in ARRAYS}
    np.savez(tmp_path / "bank.npz", **arrays, manifest=np.array(json.dumps(manifest)))
    loaded = AttackBank.load(tmp_path / "bank.npz")
    assert loaded.fault == FaultSettings(type="multiplicative", magnitude=0.3)
    np.testing.assert_array_equal(loaded.deltas, small_bank.deltas)


def test_a_bank_knows_its_fault(small_bank: AttackBank, tmp_path: Path) -> None:
    bank = replace(small_bank, deltas=1 - np.abs(small_bank.deltas), fault=SATURATION)
    bank.save(tmp_path / "bank.npz")
    loaded = AttackBank.load(tmp_path / "bank.npz")
    assert loaded.fault == bank.fault
    manifest = loaded.manifest()
    assert (manifest["fault"], manifest["parameters"]) == ({"type": "saturation", "magnitude": 0.6}, 2)
    assert "epsilon" not in manifest
    np.testing.assert_array_equal(loaded.members(make_fault(bank.fault, body(2))), bank.deltas)


def test_a_bank_is_for_its_own_fault_and_robot_alone(small_bank: AttackBank) -> None:
    with pytest.raises(BankMismatchError, match=r"^the attack bank is for multiplicative faults, not for bias$"):
        small_bank.members(make_fault(FaultSettings(type="bias", magnitude=0.3), body(2)))
    with pytest.raises(BankMismatchError, match=r"θ has 2 numbers, as in Hopper-v4; .* takes 3$"):
        small_bank.members(make_fault(small_bank.fault, body(3)))


def body(joints: int) -> Body:
    return Body(-np.ones(joints, np.float32), np.ones(joints, np.float32), np.ones(5, np.float32))


def test_saving_leaves_no_other_files(small_bank: AttackBank, tmp_path: Path) -> None:
    small_bank.save(tmp_path / "bank.npz")
    small_bank.save(tmp_path / "bank.npz")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["bank.json", "bank.npz"]


def test_a_kill_leaves_no_bank_without_its_manifest(
    small_bank: AttackBank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(suffix: str, temporary: Path, final: Path) -> None:
        if final.suffix == suffix:
            raise KeyboardInterrupt
        temporary.replace(final)

    for dies_at, left in ((".json", []), (".npz", ["bank.json"])):
        monkeypatch.setattr(storage, "put_in_place", functools.partial(kill, dies_at))
        with pytest.raises(KeyboardInterrupt):
            small_bank.save(tmp_path / "bank.npz")
        assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == left


def test_two_saves_of_one_bank_are_equal_files(small_bank: AttackBank, tmp_path: Path) -> None:
    for name in ("one", "two"):
        small_bank.save(tmp_path / f"{name}.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_a_bank_of_search_results_keeps_their_order() -> None:
    results = [
        SimpleNamespace(
            delta=np.array([index, -index]) / 10, fitness=index, environment_steps=10 * index, seed=index + 5
        )
        for index in (2, 0, 1)
    ]
    bank = AttackBank.from_results(results, fault=FaultSettings(magnitude=0.2), environment="x", policy_hash="y")
    np.testing.assert_array_equal(bank.deltas, np.array([[0.2, -0.2], [0, 0], [0.1, -0.1]], dtype=np.float32))
    assert bank.deltas.dtype == np.float32
    assert bank.seeds.tolist() == [7, 5, 6]
    assert bank.environment_steps.tolist() == [20, 0, 10]


def test_columns_of_different_lengths_are_refused(small_bank: AttackBank) -> None:
    with pytest.raises(ValueError, match="K of everything else"):
        replace(small_bank, seeds=np.array([1, 2]))
    with pytest.raises(ValueError, match=r"deltas \(K, P\)"):
        replace(small_bank, deltas=np.zeros(3, np.float32))


# ---- wrong files -----------------------------------------------------------------------------------------------------


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no attack bank at"):
        AttackBank.load(tmp_path / "nothing.npz")


@pytest.mark.parametrize(
    "content", [b"", b"not a bank", b"PK\x03\x04 cut off", b"\x93NUMPY\x01\x00", b"\x80\x04K\x01."]
)
def test_a_file_of_another_kind_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "wrong.npz"
    path.write_bytes(content)
    with pytest.raises(BankFileError, match="is not an attack bank"):
        AttackBank.load(path)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_truncated_file_is_refused(share: float, small_bank: AttackBank, tmp_path: Path) -> None:
    path = tmp_path / "bank.npz"
    small_bank.save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(BankFileError):
        AttackBank.load(path)


def test_a_damaged_number_is_noticed(small_bank: AttackBank, tmp_path: Path) -> None:
    path = tmp_path / "bank.npz"
    small_bank.save(path)
    with zipfile.ZipFile(path) as file:
        offset = file.getinfo("deltas.npy").header_offset
    content = bytearray(path.read_bytes())
    content[offset + 200] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(BankFileError):
        AttackBank.load(path)


def test_a_single_array_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "bank.npz").open("wb") as file:
        np.save(file, np.zeros((3, 2)))
    with pytest.raises(BankFileError):
        AttackBank.load(tmp_path / "bank.npz")


@pytest.mark.parametrize("missing", [*ARRAYS, "manifest"])
def test_an_archive_of_something_else_is_refused(missing: str, small_bank: AttackBank, tmp_path: Path) -> None:
    arrays = {name: getattr(small_bank, name) for name in ARRAYS}
    arrays["manifest"] = np.array(json.dumps(small_bank.manifest()))
    del arrays[missing]
    np.savez(tmp_path / "bank.npz", **arrays)
    with pytest.raises(BankFileError, match=missing):
        AttackBank.load(tmp_path / "bank.npz")


@pytest.mark.parametrize(
    "manifest",
    ['{"epsilon": 0.3}', "[]", "{", '{"format": "somebody/1", "epsilon": 1, "environment": "", "policy_hash": ""}'],
)
def test_a_manifest_of_something_else_is_refused(manifest: str, small_bank: AttackBank, tmp_path: Path) -> None:
    np.savez(tmp_path / "bank.npz", **{name: getattr(small_bank, name) for name in ARRAYS}, manifest=np.array(manifest))
    with pytest.raises(BankFileError):
        AttackBank.load(tmp_path / "bank.npz")


def test_arrays_that_do_not_fit_together_are_refused(small_bank: AttackBank, tmp_path: Path) -> None:
    arrays = {name: getattr(small_bank, name) for name in ARRAYS} | {"seeds": np.array([1])}
    np.savez(tmp_path / "bank.npz", **arrays, manifest=np.array(json.dumps(small_bank.manifest())))
    with pytest.raises(BankFileError):
        AttackBank.load(tmp_path / "bank.npz")


@pytest.mark.parametrize("name", ["bank.json", "bank", "bank.npz.txt"])
def test_a_bank_ends_in_npz(name: str, small_bank: AttackBank, tmp_path: Path) -> None:
    """Its manifest would be written over it."""
    with pytest.raises(ValueError, match=rf"{name} cannot be an attack bank, whose name ends in \.npz"):
        small_bank.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


WRONG_NUMBERS = {
    "no number": ([[0.1, math.nan]], FaultSettings(magnitude=0.3), "numbers that are not finite"),
    "infinite": ([[0.1, math.inf]], FaultSettings(magnitude=0.3), "numbers that are not finite"),
    "beyond epsilon": ([[0.1, -0.31]], FaultSettings(magnitude=0.3), r"θ is none of a fault multiplicative 0\.3"),
    "less than what is left": ([[0.39, 1.0]], SATURATION, r"θ is none of a fault saturation 0\.6"),
    "half a dead joint": (
        [[-0.5, 0.0]],
        FaultSettings(type="dead_joint", magnitude=1),
        "θ is none of a fault dead_joint 1",
    ),
    "too late": ([[4.0]], FaultSettings(type="delay", magnitude=3), "θ is none of a fault delay 3"),
    "two delays": ([[1.0, 2.0]], FaultSettings(type="delay", magnitude=3), "θ is none of a fault delay 3"),
    "no magnitude": ([[0.1, 0.1]], FaultSettings(), "needs its magnitude"),
}


@pytest.mark.parametrize("case", WRONG_NUMBERS)
def test_numbers_that_the_fault_cannot_have_are_refused(case: str, tmp_path: Path) -> None:
    deltas, fault, message = WRONG_NUMBERS[case]
    one = np.ones(1, np.int64)
    AttackBank(np.array(deltas, np.float32), one / 2, one, one, fault, "x", "y").save(tmp_path / "bank.npz")
    with pytest.raises(BankFileError, match=message):
        AttackBank.load(tmp_path / "bank.npz")


def test_an_infinite_fitness_is_refused(small_bank: AttackBank, tmp_path: Path) -> None:
    replace(small_bank, fitness=small_bank.fitness * math.inf).save(tmp_path / "bank.npz")
    with pytest.raises(BankFileError, match="numbers that are not finite"):
        AttackBank.load(tmp_path / "bank.npz")


@pytest.mark.parametrize(
    ("deltas", "fault"),
    [
        ([[0.3, -0.3]], FaultSettings(magnitude=0.3)),
        ([[0.4, 1.0]], SATURATION),
        ([[-1.0, 0.0, 0.0]], FaultSettings(type="dead_joint", magnitude=1)),
        ([[3.0]], FaultSettings(type="delay", magnitude=3)),
        ([[0.1] * 11], FaultSettings(type="observation_noise", magnitude=0.1)),
    ],
)
def test_bounds_are_in_range(deltas: list[list[float]], fault: FaultSettings, tmp_path: Path) -> None:
    one = np.ones(1, np.int64)
    AttackBank(np.array(deltas, np.float32), one / 2, one, one, fault, "x", "y").save(tmp_path / "bank.npz")
    assert AttackBank.load(tmp_path / "bank.npz").fault == fault


def test_an_unknown_fault_is_one_line(small_bank: AttackBank, tmp_path: Path) -> None:
    manifest = {**small_bank.manifest(), "fault": {"type": "rust", "magnitude": 0.3}}
    arrays = {name: getattr(small_bank, name) for name in ARRAYS}
    np.savez(tmp_path / "bank.npz", **arrays, manifest=np.array(json.dumps(manifest)))
    with pytest.raises(
        BankFileError, match=r'^\S+ is not an attack bank: its fault: type is "rust"; write one of [^\n]*$'
    ):
        AttackBank.load(tmp_path / "bank.npz")
