"""Files are whole or not there, and a damaged one is never taken for an intact one."""

import errno
import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from poke2vid.files import atomic, digest_of, read_about, read_json, read_tensors, writable, write_json, write_tensors
from poke2vid.types import InputError

ABOUT = {"format": "poke2vid-model", "step": 100, "text": "ü", "nested": {"list": [1, 2.5, None]}}


def tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "weights": torch.randn(3, 4, generator=generator),
        "turned": torch.randn(2, 5, generator=generator).T,
        "counts": torch.arange(6),
        "half": torch.randn(4, generator=generator).bfloat16(),
        "scalar": torch.tensor(2.5),
    }


def written(path: Path) -> Path:
    write_tensors(path, tensors(), ABOUT)
    return path


def header_length(content: bytes) -> int:
    """A safetensors file is: length of the header (8 bytes), header (JSON), tensors."""
    return 8 + int(struct.unpack("<Q", content[:8])[0])


def is_refused(path: Path, content: bytes) -> bool:
    path.write_bytes(content)
    try:
        read_tensors(path)
    except InputError:
        return True
    return False


# Tensors


def test_what_was_written_is_read_back_bit_for_bit(tmp_path: Path) -> None:
    read, about = read_tensors(written(tmp_path / "file.safetensors"))
    assert about == ABOUT
    assert read.keys() == tensors().keys()
    for name, tensor in tensors().items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor)


def test_what_a_file_says_of_itself_is_read_without_its_tensors(tmp_path: Path) -> None:
    path = written(tmp_path / "file.safetensors")
    assert read_about(path) == ABOUT


def test_any_flipped_bit_in_the_tensors_is_noticed(tmp_path: Path) -> None:
    content = written(tmp_path / "file.safetensors").read_bytes()
    for place in range(header_length(content), len(content)):
        flipped = content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :]
        assert is_refused(tmp_path / "flipped.safetensors", flipped), f"byte {place} of {len(content)}"


def test_any_flipped_bit_in_the_header_is_noticed(tmp_path: Path) -> None:
    content = written(tmp_path / "file.safetensors").read_bytes()
    for place in range(header_length(content)):
        flipped = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        context = flipped[max(place - 12, 0) : place + 12]
        assert is_refused(tmp_path / "flipped.safetensors", flipped), f"byte {place}: ...{context!r}..."


def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    content = written(tmp_path / "file.safetensors").read_bytes()
    for length in [0, 4, 8, 60, header_length(content), len(content) - 1]:
        assert is_refused(tmp_path / "cut.safetensors", content[:length]), f"{length} bytes"


def test_damage_is_told_with_the_file_s_name_and_what_to_do(tmp_path: Path) -> None:
    path = written(tmp_path / "file.safetensors")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"file\.safetensors is damaged: .*take an intact copy"):
        read_tensors(path)


def test_a_safetensors_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file({"weights": torch.zeros(3)}, path)
    with pytest.raises(InputError, match="was not written by poke2vid"):
        read_tensors(path)
    save_file({"weights": torch.zeros(3)}, path, metadata={"poke2vid": "no json", "digest": ""})
    with pytest.raises(InputError, match="was not written by poke2vid"):
        read_about(path)


def test_what_is_no_safetensors_file_at_all_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" * 20)
    with pytest.raises(InputError, match="not a poke2vid file or was cut short"):
        read_tensors(path)
    with pytest.raises(InputError, match=r"there is no file .*none"):
        read_about(tmp_path / "none")
    with pytest.raises(InputError, match="there is no file"):
        read_about(tmp_path)


def test_the_digest_depends_on_names_types_shapes_and_values_but_not_on_order() -> None:
    first = {"a": torch.zeros(2, 3), "b": torch.ones(2)}
    about = {"step": 1}
    digest = digest_of(first, about)
    assert digest_of({"b": torch.ones(2), "a": torch.zeros(2, 3)}, about) == digest
    assert digest_of({"a": torch.zeros(3, 2).T, "b": torch.ones(2)}, about) == digest
    others = [
        {"a": torch.zeros(2, 3), "c": torch.ones(2)},
        {"a": torch.zeros(3, 2), "b": torch.ones(2)},
        {"a": torch.zeros(2, 3, dtype=torch.int32), "b": torch.ones(2)},
        {"a": torch.zeros(2, 3), "b": torch.tensor([1.0, 1.0001])},
    ]
    assert len({digest, digest_of(first, {"step": 2}), *(digest_of(other, about) for other in others)}) == 6


# Atomic writing


def test_a_block_that_ends_well_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    with atomic(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.suffix == path.suffix
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o644


def test_the_old_file_is_replaced_and_not_written_into(tmp_path: Path) -> None:
    path, other_name = tmp_path / "file.txt", tmp_path / "other.txt"
    path.write_text("old")
    other_name.hardlink_to(path)  # as good as a reader that has the old file open
    with atomic(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert other_name.read_text() == "old"


@pytest.mark.parametrize("failure", [RuntimeError("bug"), KeyboardInterrupt(), InputError("told already")])
def test_a_block_that_fails_leaves_the_old_file_and_passes_its_error_on(tmp_path: Path, failure: BaseException) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(type(failure)) as caught, atomic(path) as temporary:
        temporary.write_text("half of the ne")
        raise failure
    assert caught.value is failure
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_with_the_remedy_and_leaves_the_old_file(tmp_path: Path, number: int) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with (
        pytest.raises(InputError, match=r"cannot write .*file\.txt: the disk is full; free some space .* again\."),
        atomic(path) as temporary,
    ):
        temporary.write_text("half of the ne")
        raise OSError(number, "No space left on device")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_is_full_for_the_tensor_library_is_full_for_us(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    path = written(tmp_path / "file.safetensors")
    monkeypatch.setattr("poke2vid.files.save_file", fail)
    with pytest.raises(InputError, match="the disk is full"):
        write_tensors(path, {"weights": torch.zeros(3)}, {})
    assert read_about(path) == ABOUT
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_told_without_an_error_number(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"cannot write .*; choose a place that can be written\.$") as caught:
        write_json(tmp_path / "file" / "report.json", {})
    assert "errno" not in str(caught.value).lower()


def test_json_is_written_for_people(tmp_path: Path) -> None:
    write_json(tmp_path / "report.json", ABOUT)
    content = (tmp_path / "report.json").read_text(encoding="utf-8")
    assert json.loads(content) == ABOUT
    assert "ü" in content
    assert content.endswith("}\n")


def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "report.json", {"old": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "report.json", {"new": object()})
    assert json.loads((tmp_path / "report.json").read_text()) == {"old": 1}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_json_is_read_as_any_editor_saves_it(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps(ABOUT, ensure_ascii=False).replace(",", ",\r\n"), encoding=encoding)
    assert read_json(tmp_path / "a.json") == ABOUT


def test_text_of_another_encoding_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"text": "ü"}', encoding="latin-1")
    with pytest.raises(ValueError, match="not UTF-8") as caught:
        read_json(tmp_path / "a.json")
    assert "codec" not in str(caught.value)


def test_a_folder_that_takes_no_files_is_named_and_one_that_does_stays_empty(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"cannot write into .*file/rows"):
        writable(tmp_path / "file" / "rows")
    assert list(writable(tmp_path / "new" / "rows").iterdir()) == []
