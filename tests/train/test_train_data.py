"""The loaders, on a few pictures in the publishers' layouts and on the real sets if present."""

import gzip
import struct

import numpy as np
import pytest
from PIL import Image

from photosearch.errors import InputError
from train.data import cifar10, cub, flickr8k, mnist, wordnet


def write_batch(folder, name, records):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.bin").write_bytes(b"".join(records))


def make_record(target, red, green, blue):
    return bytes([target]) + bytes([red]) * 1024 + bytes([green]) * 1024 + bytes([blue]) * 1024


def test_cifar_reads_target_and_planes(tmp_path):
    first_row_red = bytes([2]) + bytes([255]) * 32 + bytes(1024 - 32) + bytes(2048)
    write_batch(tmp_path / cifar10.FOLDER, "test_batch", [make_record(3, 10, 20, 30), first_row_red])

    images, targets = cifar10.load(tmp_path, "test")

    expected = np.zeros((2, 32, 32, 3), np.uint8)
    expected[0] = (10, 20, 30)
    expected[1, 0, :, 0] = 255
    np.testing.assert_array_equal(images, expected)
    assert targets.tolist() == [3, 2]
    assert [cifar10.CLASSES[t] for t in targets] == ["cat", "bird"]


def test_cifar_validates_on_fifth_batch(tmp_path):
    for number in range(1, 6):
        write_batch(tmp_path / cifar10.FOLDER, f"data_batch_{number}", [make_record(number, 0, 0, 0)])

    assert cifar10.load(tmp_path, "train")[1].tolist() == [1, 2, 3, 4]
    assert cifar10.load(tmp_path, "validation")[1].tolist() == [5]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes, not a multiple of 3,073"),
        (make_record(1, 0, 0, 0)[:-1], "3,072 bytes, not a multiple of 3,073"),
        (make_record(10, 0, 0, 0), "a target above 9"),
    ],
)
def test_cifar_refuses_broken_batch(tmp_path, content, message):
    write_batch(tmp_path / cifar10.FOLDER, "test_batch", [content])

    with pytest.raises(InputError, match=message):
        cifar10.load(tmp_path, "test")


def test_missing_set_names_fetch_command(tmp_path):
    for load, name in ((cifar10.load, "cifar-10"), (mnist.load, "mnist"), (cub.load, "cub")):
        with pytest.raises(InputError, match=f"missing; run `python -m train data --fetch {name} --to DIR`"):
            load(tmp_path, "test")


def test_missing_set_without_download_names_archive(tmp_path):
    with pytest.raises(InputError, match=r"Flickr8k: missing; unpack the publisher's Flickr8k_Dataset\.zip"):
        flickr8k.photographs(tmp_path, "test")
    with pytest.raises(InputError, match=r"data\.noun: missing; unpack the publisher's WNdb-3\.0\.tar\.gz"):
        wordnet.synsets(tmp_path)


def encode_idx(values):
    return bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def write_mnist(data, images, targets):
    folder = data / mnist.FOLDER
    folder.mkdir(parents=True)
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
    (folder / "t10k-labels-idx1-ubyte").write_bytes(targets)


def test_mnist_reads_packed_and_unpacked(tmp_path):
    images = np.arange(3 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(3, 28, 28)
    write_mnist(tmp_path, encode_idx(images), encode_idx(np.array([7, 2, 1], np.uint8)))

    got, targets = mnist.load(tmp_path, "test")

    np.testing.assert_array_equal(got, images)
    assert targets.tolist() == [7, 2, 1]


@pytest.mark.parametrize(
    ("images", "targets", "message"),
    [
        (encode_idx(np.zeros((2, 28, 28), np.uint8)), encode_idx(np.zeros(3, np.uint8)), "2 pictures and 3 labels"),
        (encode_idx(np.zeros((2, 28, 28), np.uint8))[:-1], encode_idx(np.zeros(2, np.uint8)), "declares the shape"),
        (b"\0\0\x09\x03", encode_idx(np.zeros(2, np.uint8)), "not an IDX file"),
        (b"", encode_idx(np.zeros(2, np.uint8)), "not an IDX file"),
    ],
)
def test_mnist_refuses_broken_file(tmp_path, images, targets, message):
    write_mnist(tmp_path, images, targets)

    with pytest.raises(InputError, match=message):
        mnist.load(tmp_path, "test")


def test_mnist_refuses_broken_gzip(tmp_path):
    write_mnist(tmp_path, b"", b"")
    (tmp_path / mnist.FOLDER / "t10k-images-idx3-ubyte.gz").write_bytes(b"\x1f\x8bbroken")

    with pytest.raises(InputError, match="can't be unpacked"):
        mnist.load(tmp_path, "test")


def write_cub(data, names, training):
    """names: "001.Species/Picture.jpg"; ids count from 1. Each picture is one colour, 40 x 20 pixels."""
    folder = data / cub.FOLDER
    lists = {"images": names, "train_test_split": training}
    lists["image_class_labels"] = [int(name[:3]) for name in names]
    lists["bounding_boxes"] = [f"{i}.0 2.5 30.0 10.0" for i in range(len(names))]
    for i, name in enumerate(names):
        (folder / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 20), (i, 100, 200)).save(folder / "images" / name, quality=95)
    for name, values in lists.items():
        (folder / f"{name}.txt").write_text("".join(f"{i} {value}\n" for i, value in enumerate(values, 1)))


def test_cub_reads_species_box_and_part(tmp_path):
    names = ["001.Auk/Auk_0001_796111.jpg", "001.Auk/Auk_0002_55.jpg", "002.Crow/Crow_0001_7.jpg"]
    write_cub(tmp_path, names, [0, 1, 0])

    birds = cub.birds(tmp_path)

    images = tmp_path / cub.FOLDER / "images"
    part = birds[1].part
    assert part in ("train", "validation")
    assert birds == [
        cub.Bird(1, images / names[0], 1, (0.0, 2.5, 30.0, 10.0), "test"),
        cub.Bird(2, images / names[1], 1, (1.0, 2.5, 30.0, 10.0), part),
        cub.Bird(3, images / names[2], 2, (2.0, 2.5, 30.0, 10.0), "test"),
    ]


def test_cub_squashes_photo_as_search(tmp_path):
    write_cub(tmp_path, ["001.Auk/A.jpg", "001.Auk/B.jpg"], [0, 0])

    images = cub.load(tmp_path, "test", size=16)

    assert images.shape == (2, 16, 16, 3)
    np.testing.assert_allclose(images[1].astype(int), np.full((16, 16, 3), (1, 100, 200)), atol=3)
    assert cub.load(tmp_path, "train", size=16).shape == (0, 16, 16, 3)


def test_cub_validates_on_an_eighth_by_file_name(tmp_path):
    names = [f"001.Auk/Auk_{i:04}.jpg" for i in range(400)]
    parts = [cub._part(name, "1") for name in names]

    assert 30 <= parts.count("validation") <= 70
    assert parts.count("validation") + parts.count("train") == 400
    assert cub._part(f"199.Else/{names[0].rpartition('/')[2]}", "1") == parts[0]
    assert cub._part(names[0], "0") == "test"


def test_cub_refuses_inconsistent_lists(tmp_path):
    write_cub(tmp_path, ["001.Auk/A.jpg"], [0])
    (tmp_path / cub.FOLDER / "bounding_boxes.txt").write_text("2 1 1 1 1\n")

    with pytest.raises(InputError, match="its lists don't agree"):
        cub.birds(tmp_path)


def test_cub_names_missing_picture(tmp_path):
    write_cub(tmp_path, ["001.Auk/A.jpg"], [0])
    (tmp_path / cub.FOLDER / "images" / "001.Auk" / "A.jpg").unlink()

    with pytest.raises(InputError, match=r"A\.jpg: no such file or directory"):
        cub.load(tmp_path, "test")


def test_real_cifar_is_balanced(data):
    images, targets = cifar10.load(data(cifar10.FOLDER), "test")

    assert images.shape == (10_000, 32, 32, 3)
    assert np.bincount(targets).tolist() == [1_000] * 10
    assert cifar10.CLASSES[targets[0]] == "cat"


def test_real_mnist_starts_with_a_seven(data):
    images, targets = mnist.load(data(mnist.FOLDER), "test")

    assert images.shape == (10_000, 28, 28)
    assert targets[0] == 7


def test_real_cub_has_official_split(data):
    birds = cub.birds(data(cub.FOLDER))

    assert [birds[0].id, birds[0].species, birds[0].part] == [1, 1, "test"]
    parts = [bird.part for bird in birds]
    assert parts.count("test") in (3_647, 5_794)  # a part of the set, or the whole
    assert parts.count("train") + parts.count("validation") in (3_809, 5_994)
