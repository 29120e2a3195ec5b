"""Files that were changed at random, and the process that reads them under guard.

`test_campaign.py` makes whole files, starts this module as a process, and counts what it says.
Each mutant has a number, and the number is its only seed: `mutant_of(seeds, 17)` makes it again.
"""

import importlib
import io
import json
import os
import pickle
import signal
import struct
import sys
import traceback
import warnings
import zlib
from pathlib import Path

import numpy as np

SEED = 20261126
GIBIBYTE = 2**30

# ------------------------------------------------------------------------------ any bytes


def place_in(rng, content):
    "A place in a file, near its beginning more often than not."
    return int(rng.random() ** rng.choice([1, 3, 6]) * len(content))


def flip_bits(rng, content):
    "Change one to eight bits."
    content = bytearray(content)
    for _ in range(rng.integers(1, 9)):
        content[place_in(rng, content)] ^= 1 << rng.integers(8)
    return bytes(content)


def set_run(rng, content):
    "Set a run of bytes to 0 or to 255."
    begin, length = place_in(rng, content), int(rng.integers(1, 65))
    run = bytes([rng.choice([0, 255])]) * min(length, len(content) - begin)
    return content[:begin] + run + content[begin + len(run) :]


def truncate(rng, content):
    "Keep the beginning of a file alone."
    return content[: int(rng.integers(len(content)))]


def move_block(rng, content):
    "Double one block, or exchange two."
    length = int(rng.integers(1, max(2, len(content) // 4)))
    a, b = (int(place) for place in sorted(rng.integers(0, len(content), 2)))
    if rng.random() < 0.5 or a + length > b:
        return content[:a] + content[a : a + length] + content[a:]
    first, second = content[a : a + length], content[b : b + length]
    return content[:a] + second + content[a + length : b] + first + content[b + length :]


EXTREMES = [2**31 - 1, 2**31, 2**32 - 1, 2**16 - 1, 2**24, 100_000, 12_000, 1, 0]


def set_number(rng, content):
    "Set two, four or eight bytes of the first 300 to a number that is huge, or nothing."
    size = int(rng.choice([2, 4, 4, 8]))
    begin = int(rng.integers(0, max(1, min(300, len(content) - size))))
    number = int(rng.choice(EXTREMES)) % 2 ** (8 * size)
    order = "big" if rng.random() < 0.5 else "little"
    return content[:begin] + number.to_bytes(size, order) + content[begin + size :]


def join(rng, content, others):
    "Put two files one after the other, or the end of one behind the beginning of the other."
    other = others[int(rng.integers(len(others)))]
    if rng.random() < 0.3:
        return content + other
    return content[: int(rng.integers(len(content)))] + other[int(rng.integers(len(other))) :]


# ------------------------------------------------------------------------------ files by parts


def png_chunks(content):
    "The parts of a PNG as pairs of a name and bytes."
    chunks, place = [], 8
    while place + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, place)
        chunks.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + length]))
        place += 12 + length
    return chunks


def join_png(chunks):
    "A PNG of parts, all with a right checksum."
    parts = [b"\x89PNG\r\n\x1a\n"]
    for name, body in chunks:
        check = zlib.crc32(name + body)
        parts.append(struct.pack(">I", len(body)) + name + body + struct.pack(">I", check))
    return b"".join(parts)


def change_png(rng, content):
    "Change, double, leave out or move a part of a PNG, and make its checksum right."
    chunks = png_chunks(content)
    i, j = (int(number) for number in rng.integers(len(chunks), size=2))
    name, body = chunks[i]
    how = rng.integers(6)
    if how < 3 and body:
        change = [flip_bits, set_number, set_run][how]
        chunks[i] = name, change(rng, body)
    elif how == 3:
        chunks.insert(j, chunks[i])
    elif how == 4:
        chunks[i], chunks[j] = chunks[j], chunks[i]
    else:
        del chunks[i]
    return join_png(chunks)


def tiff_entries(content):
    "The byte order of a TIFF and where the entries of its first directory lie; for BigTIFF none."
    order = "<" if content[:2] == b"II" else ">"
    if struct.unpack_from(order + "H", content, 2)[0] != 42:
        return order, [], 0
    (place,) = struct.unpack_from(order + "I", content, 4)
    (n_entries,) = struct.unpack_from(order + "H", content, place)
    end = place + 2 + 12 * n_entries
    return order, list(range(place + 2, end, 12)), end


def change_tiff(rng, content):
    "Change the code, type, count or value of a tag, or lead to a directory that leads back."
    order, entries, end = tiff_entries(content)
    if not entries:
        return set_number(rng, content)
    content = bytearray(content)
    if rng.random() < 0.1:
        struct.pack_into(order + "I", content, end, struct.unpack_from(order + "I", content, 4)[0])
        return bytes(content)
    for _ in range(rng.integers(1, 3)):
        entry = entries[int(rng.integers(len(entries)))]
        field, size = [(0, "H"), (2, "H"), (4, "I"), (8, "I"), (8, "H"), (8, "H")][rng.integers(6)]
        small, large = int(rng.integers(20)), int(rng.choice(EXTREMES))
        number = small if rng.random() < 0.5 else large % 2 ** (8 * struct.calcsize(size))
        if field == 0 and rng.random() < 0.5:
            number = int(rng.choice([256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 339]))
        struct.pack_into(order + size, content, entry + field, number)
    return bytes(content)


def jpeg_segments(content):
    "Where the segments of a JPEG begin before its numbers do."
    places, place = [], 2
    while place + 4 < len(content) and content[place] == 255:
        places.append(place)
        if content[place + 1] == 0xDA:
            break
        place += 2 + struct.unpack_from(">H", content, place + 2)[0]
    return places


def change_jpeg(rng, content):
    "Change what one segment of a JPEG says."
    places = [*jpeg_segments(content), len(content)]
    i = int(rng.integers(max(1, len(places) - 1)))
    begin, end = places[i] + 2, places[i + 1] if i + 1 < len(places) else len(content)
    change = [flip_bits, set_number, set_run][rng.integers(3)]
    return content[:begin] + change(rng, content[begin:end] or b"\0") + content[end:]


def boxes_of(content, begin=0, end=None, depth=0):
    "Where boxes of an ISO file (HEIF, AVIF, JPEG 2000) begin, those in boxes too."
    places, end = [], len(content) if end is None else end
    while begin + 8 <= end:
        length, name = struct.unpack_from(">I4s", content, begin)
        if length < 8 or begin + length > end:
            break
        places.append((begin, length))
        inner = {b"meta": 12, b"iprp": 8, b"ipco": 8, b"jp2h": 8, b"moov": 8}.get(name)
        if inner and depth < 5:
            places += boxes_of(content, begin + inner, begin + length, depth + 1)
        begin += length
    return places


def change_boxes(rng, content):
    "Change the head or the body of a box."
    places = boxes_of(content)
    if not places:
        return flip_bits(rng, content)
    begin, length = places[int(rng.integers(len(places)))]
    change = [flip_bits, set_number, set_run][rng.integers(3)]
    body = change(rng, content[begin : begin + min(length, 400)])
    return content[:begin] + body + content[begin + len(body) :]


CHANGES_BY_FORMAT = {
    "PNG": change_png,
    "TIFF": change_tiff,
    "JPEG": change_jpeg,
    "AVIF": change_boxes,
    "HEIF": change_boxes,
    "JPEG2000": change_boxes,
}
CHANGES = [flip_bits, set_run, truncate, move_block, set_number]


def drawn(seeds, number):
    "What chance is for a mutant, the names of all whole files, and its own."
    names = sorted(seeds)
    return np.random.default_rng([SEED, number]), names, names[number % len(names)]


def picture_mutant(seeds, number):
    "The name of the whole file, the name of the change, and the changed file."
    rng, names, name = drawn(seeds, number)
    content = seeds[name]
    by_parts = CHANGES_BY_FORMAT.get(name.split()[0], set_number)
    change = [*CHANGES, by_parts, by_parts, by_parts, join][rng.integers(9)]
    if change is join:
        return name, "join", join(rng, content, [seeds[other] for other in names])
    return name, change.__name__, change(rng, content)


# ------------------------------------------------------------------------------ saved files


def head_of(content):
    "The head of a safetensors file as an object, and the numbers behind it."
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def with_head(head, numbers):
    "A safetensors file of a head, as an object or as text, and numbers."
    text = (head if isinstance(head, str) else json.dumps(head)).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + numbers


VALUES = [
    None,
    True,
    False,
    0,
    -1,
    1,
    2,
    7,
    2**31,
    2**63,
    10**400,
    -0.5,
    0.5,
    1e308,
    float("inf"),
    float("nan"),
    "",
    "mlp",
    "grid",
    "painting",
    "model",
    "../../x",
    "\ud800",
    "9" * 5000,
    [],
    [1],
    {},
    {"a": 1},
]


def deep_value(rng):
    "A value for JSON, sometimes one within many."
    value = VALUES[int(rng.integers(len(VALUES)))]
    for _ in range(int(rng.choice([0, 0, 0, 1, 300]))):
        value = [value] if rng.random() < 0.5 else {"x": value}
    return value


def change_words(rng, words):
    "Words with one changed, one left out, or one too many, at any depth."
    words = json.loads(json.dumps(words))
    inside = words
    name = str(rng.choice(sorted(inside)))
    while isinstance(inside[name], dict) and inside[name] and rng.random() < 0.7:
        inside = inside[name]
        name = str(rng.choice(sorted(inside)))
    how = rng.integers(4)
    value = inside[name]
    if how == 0:
        del inside[name]
    elif how == 1:
        inside[f"{name}{rng.integers(10)}"] = deep_value(rng)
    elif how == 2 and isinstance(value, (int, float)):
        inside[name] = value * float(rng.choice([2, -1, 0.5, 1e6])) + int(rng.integers(-2, 3))
    else:
        inside[name] = deep_value(rng)
    return words


def unpacked(head):
    "The words in the head of either format, and how to put them back."
    metadata = head["__metadata__"]
    if "cadl_flax" in metadata:
        return json.loads(metadata["cadl_flax"]), lambda words: {"cadl_flax": json.dumps(words)}
    texts = ("kind", "loss", "digest")
    words = {name: v if name in texts else json.loads(v) for name, v in metadata.items()}

    def pack(words):
        as_text = {n: v for n, v in words.items() if n in texts and isinstance(v, str)}
        return {n: as_text.get(n, json.dumps(v)) for n, v in words.items()}

    return words, pack


def other_words(rng, content):
    "A file whose words were changed, and not its digest."
    head, numbers = head_of(content)
    words, pack = unpacked(head)
    head["__metadata__"] = pack(change_words(rng, words))
    return with_head(head, numbers)


def other_head(rng, content):
    "A file whose head says something else of an array, or says it another way."
    head, numbers = head_of(content)
    names = sorted(set(head) - {"__metadata__"})
    name, other = (str(rng.choice(names)) for _ in range(2))
    how = rng.integers(7)
    if how == 0:
        head[name]["dtype"] = str(
            rng.choice(["F16", "BF16", "I32", "U32", "F64", "BOOL", "F8_E4M3"])
        )
    elif how == 1:
        head[name]["shape"] = [int(n) for n in rng.choice([0, 1, 3, 2**31, 2**62], rng.integers(4))]
    elif how == 2:
        head[name]["shape"] = head[name]["shape"][::-1]
    elif how == 3:
        head[name], head[other] = head[other], head[name]
    elif how == 4:
        head[f"{name}x"] = head.pop(name)
    elif how == 5:
        return with_head(json.dumps(head, indent=1), numbers)
    else:
        text = json.dumps({name: head[other]})[1:-1]
        return with_head("{" + text + "," + json.dumps(head)[1:], numbers)
    return with_head(head, numbers)


def other_array(rng, array):
    "An array of another shape, another dtype, or with other numbers."
    how = rng.integers(5)
    if how == 0:
        return array.astype(str(rng.choice(["float16", "float64", "int32", "uint8", "bool"])))
    if how == 1:
        return array[None] if rng.random() < 0.5 else array.ravel()
    if how == 2:
        return array[: int(rng.integers(len(array)))] if array.ndim else array[None]
    if how == 3:
        return np.full_like(array, rng.choice([0, 1, 200]))
    if array.dtype.kind != "f":
        return array[::-1] if array.ndim else array + 1
    return np.full_like(array, rng.choice([np.nan, np.inf, 1e38, -1.0]))


def forge(rng, content):
    "A file that was changed, and vouches for the change by a right digest."
    import safetensors.numpy

    from cadl_flax.tracking import _digest

    arrays = safetensors.numpy.load(content)
    words, pack = unpacked(head_of(content)[0])
    if rng.random() < 0.6:
        words = change_words(rng, words)
    else:
        with np.errstate(all="ignore"):
            name = str(rng.choice(sorted(arrays)))
            arrays[name] = np.ascontiguousarray(other_array(rng, arrays[name]))
    if words.get("format") in (1, 2):
        words["digest"] = _digest(words, arrays)
    return safetensors.numpy.save(arrays, pack(words))


SAVED_CHANGES = [flip_bits, set_run, truncate, move_block, set_number, other_words, other_head]


def saved_mutant(seeds, number):
    "The name of the whole file, the name of the change, and the changed file."
    rng, names, name = drawn(seeds, number)
    content = seeds[name]
    change = [*SAVED_CHANGES, join, forge, forge, forge, forge][rng.integers(12)]
    if change is join:
        return name, "join", join(rng, content, [seeds[other] for other in names])
    return name, change.__name__, change(rng, content)


# ------------------------------------------------------------------------------ what is done with them


def depth_of_refusal(line):
    "How far a picture got before it was refused."
    if "is not a picture that can be read" in line or "HEIC" in line:
        return "sniffed"
    if "is a damaged picture" in line:
        return "decoder"
    return "checks"


DEPTHS = {
    "pictures": ["sniffed", "decoder", "checks", "decoded"],
    "saved": ["head", "words", "digest", "contents", "same", "sane", "unguarded"],
    "commands": ["2", "3", "0"],
}


class Pictures:
    "Reads pictures."

    mutant = staticmethod(picture_mutant)
    seconds = 20

    def __init__(self, seeds, folder):
        import imagecodecs
        import tifffile
        from PIL import Image

        from cadl_flax.files import read_picture

        Image.init()
        assert imagecodecs.png_decode and tifffile.TiffFile  # are imported lazily
        self.read = read_picture
        self.path = folder / "x.png"
        for content in seeds.values():  # imports what each format needs
            self.path.write_bytes(content)
            read_picture(self.path)

    def ask(self, name, change, content):
        self.path.write_bytes(content)
        try:
            picture = self.read(self.path)
        except (ValueError, OSError) as error:
            assert "\n" not in str(error) and len(str(error)) < 1000, str(error)
            return depth_of_refusal(str(error))
        assert picture.pixels.size and picture.pixels.ndim in (2, 3)
        assert picture.pixels.dtype.kind in "buif"
        return "decoded"


HEADS = ("is not a safetensors file", "of dtype", "No such file")
WORDS = (
    "names no format",
    "has format",
    "is not JSON",
    "nested too deep",
    "says kind",
    "says format",
)


def stage_of_refusal(line):
    "How far a saved file got before it was refused."
    if "are not those that were saved" in line:
        return "digest"
    if any(words in line for words in HEADS):
        return "head"
    return "words" if any(words in line for words in WORDS) else "contents"


def contents_of(thing):
    "Arrays and words of a network, run or painting, so that they can be compared."
    from cadl_flax.tracking import _contents

    arrays, words = _contents(thing)
    exact = {}
    for name, leaf in arrays.items():
        array = np.asarray(leaf)
        exact[name] = (str(array.dtype), array.shape, array.tobytes())
    return exact, json.dumps(words, sort_keys=True, default=float)


class Saved:
    "Loads saved files, and compares them with what was saved."

    mutant = staticmethod(saved_mutant)
    seconds = 20

    def __init__(self, seeds, folder):
        from cadl_flax.tracking import load, read_words, save

        self.load, self.save, self.words = load, save, read_words
        self.path = folder / "x.safetensors"
        self.path.write_bytes(seeds["painting"])
        painting = load(self.path)
        self.starts = {"model": painting.run.model, "run": painting.run, "painting": None}
        self.whole = {}
        for name, content in seeds.items():
            self.path.write_bytes(content)
            self.whole[name] = contents_of(self.loaded(name)), self.words(self.path)
        self.again = folder / "y.safetensors"

    def loaded(self, name):
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # of format 1
            return self.load(self.path, self.starts[name.split()[0]])

    def ask(self, name, change, content):
        self.path.write_bytes(content)
        try:
            thing = self.loaded(name)
        except (ValueError, OSError) as error:
            assert "\n" not in str(error), str(error)
            return stage_of_refusal(str(error))
        found = contents_of(thing), self.words(self.path)
        if found == self.whole[name]:
            return "same"
        if change == "join" and found in self.whole.values():
            return "same"
        if change != "forge":
            assert found[1]["format"] == 1, "other contents were accepted"
            assert {a[2] for a in found[0][0].values()} == {
                a[2] for a in self.whole[name][0][0].values()
            }, "other numbers were accepted"
            self.save_again(thing, name)
            return "unguarded"  # format 1 has a digest of the numbers alone
        self.save_again(thing, name)
        return "sane"

    def save_again(self, thing, name):
        self.save(thing, self.again)
        back = self.load(self.again, self.starts[name.split()[0]])
        assert contents_of(back) == contents_of(thing), "it does not come back"


class Commands:
    "Types command lines with changed files, and trains."

    seconds = 60

    def __init__(self, seeds, folder):
        from cadl_flax import __main__ as cli

        self.main = cli.main
        self.pictures, self.saved = seeds
        self.folder = folder / "desk"
        self.folder.mkdir(exist_ok=True)
        self.photo, self.mask = self.pictures["PNG 8 RGB"], self.pictures["PNG mask"]
        os.chdir(self.folder)
        for number in range(5):
            line, content = self.lines(self.pictures["PNG 8 RGB"], self.saved["painting"])[number]
            self.clear()
            Path("x").write_bytes(content)
            assert self.main(line) == 0, line

    def lines(self, picture, saved):
        "The command lines, and what the file `x` holds for each."
        quick = ["--size", "8", "--epochs", "1", "--quiet"]
        return [
            (["paint", "x", *quick, "--out", "y.png"], picture),
            (["inpaint", "x", "mask.png", "--quiet", "--out", "y.png"], picture),
            (["inpaint", "photo.png", "x", "--quiet", "--out", "y.png"], self.mask),
            (["resume", "x", "--epochs", "1", "--quiet", "--out", "y.png"], saved),
            (["render", "x", "--size", "8", "--quiet", "--out", "y.png"], saved),
        ]

    def mutant(self, seeds, number):
        pictures, saved = seeds
        which = number % 5
        if which == 2:
            small = {name: pictures[name] for name in pictures if name.startswith("PNG mask")}
            name, change, content = picture_mutant(small | {"PNG mask": self.mask}, number)
        elif which < 3:
            name, change, content = picture_mutant(pictures, number)
        else:
            paintings = {name: saved[name] for name in saved if "painting" in name}
            name, change, content = saved_mutant(paintings, number)
        command = ["paint", "inpaint", "mask of inpaint", "resume", "render"][which]
        return command, f"{change} of {name}", content

    def clear(self):
        for path in Path.cwd().iterdir():
            path.unlink()
        Path("photo.png").write_bytes(self.photo)
        Path("mask.png").write_bytes(self.mask)

    def ask(self, name, change, content):
        self.clear()
        Path("x").write_bytes(content)
        commands = ["paint", "inpaint", "mask of inpaint", "resume", "render"]
        line, _ = self.lines(None, None)[commands.index(name)]
        before = sorted(path.name for path in Path.cwd().iterdir())
        code = self.main(line)
        sys.stdout.flush()
        sys.stderr.flush()
        said = read_back(2)
        assert code in (0, 2, 3), (code, said)
        assert "Traceback" not in said, said
        if code:
            assert said.count("\n") == 1 and said.startswith("cadl-flax: "), said
            left = sorted(path.name for path in Path.cwd().iterdir() if path.suffix != ".lock")
            assert [name for name in left if name != ".lock"] == before, left
            assert read_back(1) == ""
        else:
            assert Path("y.png").stat().st_size
        os.ftruncate(2, 0)
        return str(code)


class Sabotage(Pictures):
    "Reads pictures as a bad reader would: each guard has to catch one of these."

    seconds = 2
    wrongs = [
        "nothing",
        "time",
        "memory",
        "crash",
        "traceback",
        "stderr",
        "write",
        "process",
        "socket",
        "pickle",
        "removal",
        "module",
    ]

    def __init__(self, seeds, folder):
        super().__init__(seeds, folder)
        self.elsewhere = folder.parent / "elsewhere"

    def mutant(self, seeds, number):
        return self.wrongs[number], "", seeds["PNG 8 RGB"]

    def ask(self, name, change, content):
        self.read = {
            "nothing": lambda path: path.read_bytes(),
            "time": lambda path: signal.pause(),
            "memory": lambda path: bytes(3 * GIBIBYTE),
            "crash": lambda path: os.kill(os.getpid(), signal.SIGSEGV),
            "traceback": lambda path: {}["a"],
            "stderr": lambda path: os.write(2, b"libthing: warning"),
            "write": lambda path: self.elsewhere.write_text("x", encoding="utf-8"),
            "process": lambda path: os.system("true"),
            "socket": lambda path: __import__("socket").socket().close(),
            "pickle": lambda path: pickle.loads(pickle.dumps(Path)),
            "removal": lambda path: self.elsewhere.unlink(missing_ok=True),
            "module": self.import_from_the_work_folder,
        }[name]
        try:
            self.read(self.path)
        except (OSError, ValueError):
            pass
        return "decoded"

    def import_from_the_work_folder(self, path):
        path.with_name("intruder.py").write_text("x = 1\n", encoding="utf-8")
        sys.path.insert(0, str(path.parent))
        importlib.import_module("intruder")


READERS = {"pictures": Pictures, "saved": Saved, "commands": Commands, "sabotage": Sabotage}

# ------------------------------------------------------------------------------ the guards

EXECUTING = (
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "pickle.find_class",
    "pty.spawn",
    "subprocess.Popen",
)
CHANGING = {  # events, and which of their arguments are the places that they change
    "os.chmod": [0],
    "os.chown": [0],
    "os.link": [1],
    "os.mkdir": [0],
    "os.remove": [0],
    "os.rename": [0, 1],
    "os.rmdir": [0],
    "os.symlink": [1],
    "os.truncate": [0],
    "os.utime": [0],
    "shutil.rmtree": [0],
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Guard:
    "Notes what the process does besides reading."

    def __init__(self, folder):
        cache = os.environ.get("JAX_COMPILATION_CACHE_DIR")
        self.folder = os.path.realpath(folder)
        self.allowed = [self.folder, os.path.realpath(cache)] if cache else [self.folder]
        self.noted = []
        self.is_on = True

    def is_within(self, path):
        if isinstance(path, int):
            return True  # an open file
        path = os.path.realpath(os.fsdecode(path))
        return path == os.devnull or any(
            path == place or path.startswith(place + os.sep) for place in self.allowed
        )

    def __call__(self, event, args):
        if not self.is_on:
            return
        if event in EXECUTING or event.startswith("socket."):
            self.noted.append(f"{event} {args!r:.200}")
        elif event == "open" and isinstance(args[2], int) and args[2] & WRITING:
            if not self.is_within(args[0]):
                self.noted.append(f"writes {args[0]!r:.200}")
        elif event in CHANGING:
            for i in CHANGING[event]:
                if not self.is_within(args[i]):
                    self.noted.append(f"{event} {args[i]!r:.200}")
        elif event == "exec":
            name = getattr(args[0], "co_filename", "")
            if os.path.realpath(name).startswith(self.folder + os.sep):
                self.noted.append(f"runs {name}")


def memory():
    "KiB of address space, and the most that was in memory."
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    found = dict(line.split(":") for line in lines if line.startswith(("VmSize", "VmHWM", "VmRSS")))
    return {name: int(value.split()[0]) for name, value in found.items()}


def read_back(descriptor):
    "What was written to stdout or stderr, which is a file."
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, size, 0).decode(errors="replace")


def where(error):
    "The last lines that an error has passed."
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[::-1])


def redirect(folder):
    "Lead stdout and stderr into files, for libraries in C too."
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        os.dup2(file, descriptor)
        os.close(file)


def answer(reader, guard, seeds, number):
    "What a reader does with a mutant: how far it got, or its fault."
    resident = memory()["VmRSS"]
    name, change, content = reader.mutant(seeds, number)
    guard.noted.clear()
    found = {"number": number, "kind": name, "change": change}
    signal.setitimer(signal.ITIMER_REAL, reader.seconds)  # ends the process
    try:
        found["depth"] = reader.ask(name, change, content)
    except MemoryError:
        found["fault"] = "memory"
    except BaseException as error:
        found["fault"] = f"{type(error).__name__}: {error} {where(error)}"[:600]
    signal.setitimer(signal.ITIMER_REAL, 0)
    said = read_back(2)
    if said and "fault" not in found:
        found["fault"] = f"stderr: {said[:300]}"
    os.ftruncate(2, 0)
    os.ftruncate(1, 0)
    if guard.noted:
        found["fault"] = "; ".join(guard.noted)[:500]
    return found | {"KiB": memory()["VmHWM"] - resident}


def work(kind, folder, numbers):
    "Read the mutants of some numbers, and write a line before and after each of them."
    import resource

    folder = Path(folder)
    seeds = pickle.loads((folder.parent / "seeds.pickle").read_bytes())
    results = open(folder / "results", "a", encoding="utf-8", buffering=1)  # noqa: SIM115
    redirect(folder)
    work_folder = folder / "work"
    work_folder.mkdir(exist_ok=True)
    reader = READERS[kind](seeds, work_folder)
    for descriptor in (1, 2):
        os.ftruncate(descriptor, 0)
    warnings.simplefilter("always", UserWarning)
    warnings.simplefilter("always", RuntimeWarning)
    limit = memory()["VmSize"] * 1024 + 2 * GIBIBYTE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    guard = Guard(work_folder)
    peaks = open("/proc/self/clear_refs", "wb", buffering=0)  # noqa: SIM115
    sys.addaudithook(guard)
    for number in numbers:
        results.write(json.dumps({"number": number}) + "\n")
        peaks.write(b"5")  # forgets the most that was in memory
        results.write(json.dumps(answer(reader, guard, seeds, number)) + "\n")
    guard.is_on = False


# ------------------------------------------------------------------------------ whole files


def encoded(image, kind, **options):
    "A picture as the bytes of a file, by Pillow."
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def as_tiff(pixels, **options):
    "An array as the bytes of a TIFF, by tifffile."
    import tifffile

    out = io.BytesIO()
    tifffile.imwrite(out, pixels, **options)
    return out.getvalue()


def interlaced(mode):
    "A PNG in seven passes, each a picture of every nth pixel."
    h, w = 24, 20
    rows = np.arange(h * w * 3, dtype=np.uint8).reshape(h, w, 3)
    raw = b""
    for top, left, down, across in [
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    ]:
        for row in rows[top::down, left::across]:
            raw += b"\0" + (row.tobytes() if mode == 2 else row[:, 0].tobytes())
    head = struct.pack(">IIBBBBB", w, h, 8, mode, 0, 0, 1)
    return join_png([(b"IHDR", head), (b"IDAT", zlib.compress(raw)), (b"IEND", b"")])


def png_seeds(photo):
    import imagecodecs
    from PIL import Image, PngImagePlugin

    image = Image.fromarray(photo)
    deep = photo.astype(np.uint16) * 257
    words = PngImagePlugin.PngInfo()
    words.add_text("Title", "photo")
    words.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta/>")
    mask = Image.new("L", image.size)
    mask.paste(255, (5, 5, 12, 12))
    opaque = image.convert("RGBA")
    opaque.putalpha(mask.point(lambda level: 255 - level))
    frames = [Image.fromarray(np.roll(photo, i, 0)) for i in range(3)]
    seeds = {
        "PNG 1": encoded(image.convert("1"), "PNG"),
        "PNG 2 palette": encoded(image.quantize(4), "PNG", bits=2),
        "PNG 4 palette": encoded(image.quantize(16), "PNG", bits=4),
        "PNG 8 palette with tRNS": encoded(image.quantize(99), "PNG", transparency=b"\0\x80\xff"),
        "PNG 8 gray": encoded(image.convert("L"), "PNG"),
        "PNG 8 gray+alpha": encoded(image.convert("LA"), "PNG"),
        "PNG 8 RGB": encoded(image, "PNG", pnginfo=words, dpi=(300, 300)),
        "PNG 8 RGB with tRNS": encoded(image, "PNG", transparency=(1, 2, 3)),
        "PNG 8 RGBA": encoded(opaque, "PNG"),
        "PNG 16 gray": encoded(Image.fromarray(deep[..., 0]), "PNG"),
        "PNG 16 RGB": imagecodecs.png_encode(deep),
        "PNG 16 RGBA": imagecodecs.png_encode(np.dstack([deep, deep[..., :1]])),
        "PNG 16 gray+alpha": imagecodecs.png_encode(deep[..., :2].copy()),
        "PNG interlaced RGB": interlaced(2),
        "PNG interlaced gray": interlaced(0),
        "PNG APNG": encoded(frames[0], "PNG", save_all=True, append_images=frames[1:]),
        "PNG mask": encoded(mask, "PNG"),
        "PNG mask RGB": encoded(mask.convert("RGB"), "PNG"),
    }
    return seeds


def jpeg_seeds(photo):
    from PIL import Image, ImageCms

    image = Image.fromarray(photo)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x0132] = "2020:01:02 03:04:05"
    exif.get_ifd(0x8769)[0x829A] = 0.5
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    other = Image.fromarray(photo[::-1])
    return {
        "JPEG gray": encoded(image.convert("L"), "JPEG"),
        "JPEG RGB": encoded(image, "JPEG"),
        "JPEG CMYK": encoded(image.convert("CMYK"), "JPEG"),
        "JPEG progressive": encoded(image, "JPEG", progressive=True),
        "JPEG with EXIF": encoded(image, "JPEG", exif=exif, xmp=b"<x:xmpmeta/>", comment="hi"),
        "JPEG with a profile": encoded(image, "JPEG", icc_profile=profile),
        "JPEG MPO": encoded(image, "MPO", save_all=True, append_images=[other]),
    }


GEO_TAGS = [
    (33550, "d", 3, (10.0, 10.0, 0.0), True),
    (33922, "d", 6, (0.0, 0.0, 0.0, 5e5, 6e6, 0.0), True),
    (34735, "H", 8, (1, 1, 0, 1, 1024, 0, 1, 1), True),
    (42113, "s", 0, "-9999", True),
]


def tiff_seeds(photo):
    from PIL import Image

    image = Image.fromarray(photo)
    gray, deep = photo[..., 0].copy(), photo.astype(np.uint16) * 257
    six = np.dstack([deep, deep])
    palette = np.repeat(np.arange(256, dtype=np.uint16)[None] * 257, 3, 0)
    rgb = dict(photometric="rgb")
    bands = dict(photometric="minisblack", planarconfig="contig")
    seeds = {
        "TIFF Pillow raw": encoded(image, "TIFF"),
        "TIFF Pillow group3": encoded(image.convert("1"), "TIFF", compression="group3"),
        "TIFF Pillow group4": encoded(image.convert("1"), "TIFF", compression="group4"),
        "TIFF Pillow palette": encoded(image.quantize(99), "TIFF"),
        "TIFF Pillow RGBA": encoded(image.convert("RGBA"), "TIFF"),
        "TIFF Pillow CMYK": encoded(image.convert("CMYK"), "TIFF"),
        "TIFF Pillow float": encoded(image.convert("F"), "TIFF"),
        "TIFF Pillow BigTIFF": encoded(image, "TIFF", big_tiff=True),
        "TIFF Pillow pages": encoded(image, "TIFF", save_all=True, append_images=[image] * 2),
        "TIFF deep": as_tiff(deep, **rgb),
        "TIFF deep LZW": as_tiff(deep, compression="lzw", **rgb),
        "TIFF deep deflate": as_tiff(deep, compression="zlib", predictor=True, **rgb),
        "TIFF deep packbits": as_tiff(deep, compression="packbits", **rgb),
        "TIFF deep planes": as_tiff(np.moveaxis(deep, -1, 0), planarconfig="separate", **rgb),
        "TIFF deep tiles": as_tiff(deep, tile=(16, 16), compression="zlib", **rgb),
        "TIFF deep BigTIFF": as_tiff(deep, bigtiff=True, **rgb),
        "TIFF deep big-endian": as_tiff(deep, byteorder=">", **rgb),
        "TIFF jpeg tiles": as_tiff(photo, compression="jpeg", tile=(16, 16), **rgb),
        "TIFF float": as_tiff(gray.astype(np.float32)),
        "TIFF float64": as_tiff(gray.astype(np.float64), compression="lzw", predictor=True),
        "TIFF int16": as_tiff(gray.astype(np.int16) - 100),
        "TIFF 6 bands": as_tiff(six, **bands),
        "TIFF pages": as_tiff(np.stack([deep] * 3), **rgb),
        "TIFF miniswhite": as_tiff(gray, photometric="miniswhite"),
        "TIFF palette deep": as_tiff(gray, photometric="palette", colormap=palette),
        "TIFF map": as_tiff(gray.astype(np.float32), extratags=GEO_TAGS),
        "TIFF map of bytes": as_tiff(gray, extratags=GEO_TAGS),
    }
    for name in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg"):
        seeds[f"TIFF Pillow {name}"] = encoded(image, "TIFF", compression=name)
    return seeds


def other_seeds(photo):
    from PIL import Image, features

    image = Image.fromarray(photo)
    frames = [Image.fromarray(np.roll(photo, i, 0)) for i in range(2)]
    film = dict(save_all=True, append_images=frames)
    seeds = {
        "WEBP lossy": encoded(image, "WEBP"),
        "WEBP lossless": encoded(image, "WEBP", lossless=True),
        "WEBP alpha": encoded(image.convert("RGBA"), "WEBP", lossless=True, exact=True),
        "WEBP animated": encoded(image, "WEBP", **film),
        "GIF one": encoded(image, "GIF"),
        "GIF animated": encoded(image, "GIF", **film),
        "BMP RGB": encoded(image, "BMP"),
        "BMP palette": encoded(image.quantize(16), "BMP"),
        "DIB RGB": encoded(image, "DIB"),
        "PPM RGB": encoded(image, "PPM"),
        "PPM gray": encoded(image.convert("L"), "PPM"),
        "TGA RGB": encoded(image, "TGA"),
        "TGA packed": encoded(image, "TGA", compression="tga_rle"),
        "PCX RGB": encoded(image, "PCX"),
        "PCX palette": encoded(image.quantize(99), "PCX"),
        "ICO png": encoded(image, "ICO", sizes=[(16, 16)]),
        "ICO bmp": encoded(image, "ICO", sizes=[(16, 16)], bitmap_format="bmp"),
        "SGI RGB": encoded(image, "SGI"),
    }
    if features.check("jpg_2000"):
        seeds["JPEG2000 lossless"] = encoded(image, "JPEG2000")
        seeds["JPEG2000 gray 16"] = encoded(
            Image.fromarray(photo[..., 0] * np.uint16(257)), "JPEG2000"
        )
    if features.check("avif"):
        seeds["AVIF RGB"] = encoded(image, "AVIF")
        seeds["AVIF RGBA"] = encoded(image.convert("RGBA"), "AVIF")
    try:
        import pillow_heif
    except ImportError:
        return seeds
    out = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(np.tile(photo, (3, 4, 1)))).save(out, quality=80)
    return seeds | {"HEIF RGB": out.getvalue()}


def psd(photo):
    "A PSD of three channels, which Pillow reads and does not write."
    h, w, _ = photo.shape
    head = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, h, w, 8, 3)
    return head + bytes(12) + bytes(2) + np.moveaxis(photo, -1, 0).tobytes()


def picture_seeds():
    "Whole pictures of many formats and modes, by name; the first word is the format."
    from skimage import data

    photo = np.ascontiguousarray(data.astronaut()[60:180:5, 160:260:5])
    seeds = png_seeds(photo) | jpeg_seeds(photo) | tiff_seeds(photo) | other_seeds(photo)
    return seeds | {"PSD RGB": psd(photo)}


def saved_seeds(folder):
    "A network, a run and a painting in files of both formats, by name."
    import safetensors.numpy

    from cadl_flax.painting import paint
    from cadl_flax.tracking import _digest, read_words, save

    rng = np.random.default_rng(SEED)
    photo = rng.integers(0, 256, (6, 5, 3), np.uint8)
    painting = paint(photo, n_epochs=2, network="mlp")
    things = {"painting": painting, "run": painting.run, "model": painting.run.model}
    seeds = {}
    for name, thing in things.items():
        path = folder / f"{name}.safetensors"
        save(thing, path, settings={"size": 8, "why": ["a", {"b": None}]})
        seeds[name] = path.read_bytes()
        arrays, words = safetensors.numpy.load(seeds[name]), read_words(path)
        arrays = {n.replace("inner_state.0.", "inner_state."): a for n, a in arrays.items()}
        words |= {"format": 1, "digest": _digest({"format": 1}, arrays)}
        texts = ("kind", "loss", "digest")
        metadata = {n: v if n in texts else json.dumps(v) for n, v in words.items()}
        seeds[f"{name} 1"] = safetensors.numpy.save(arrays, metadata)
    return seeds


if __name__ == "__main__":
    work(sys.argv[1], sys.argv[2], range(*map(int, sys.argv[3:6])))
