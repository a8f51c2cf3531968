"""Readers of pickles and safetensors by Python's own means, for fuzz targets: each gives a text of what it has read, the
same as pickle_python.cpp and safetensors_python.cpp make of what ours has read. None where the two are known to differ."""
import io
import json
import math
import pickle
import struct
from collections import OrderedDict

WIDTHS = {
    "FloatStorage": 4, "DoubleStorage": 8, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8, "IntStorage": 4,
    "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1, "ComplexFloatStorage": 8,
    "ComplexDoubleStorage": 16,
}
MOST_ELEMENTS = 1000


class Skip(Exception):
    """A difference that is known, and meant."""


class Unknown:
    """Whatever is not known. Ours carries it along unbuilt and refuses it where it is wanted."""

    def append(self, item):
        pass

    add = append

    def extend(self, items):
        pass

    def __setitem__(self, key, value):
        pass


UNKNOWN = Unknown()


class Known:
    """A name that checkpoints use. Nothing is imported: a call makes plain data."""

    def __init__(self, name, make):
        self.name, self.make = name, make


class Storage:
    def __init__(self, key, kind, count):
        self.key, self.kind, self.count, self.offset, self.content = key, kind, count, 0, None


class View:
    def __init__(self, storage, offset):
        self.storage, self.offset = storage, offset


class Tensor:
    def __init__(self, storage, offset, sizes, strides, requires_grad):
        self.storage, self.offset, self.sizes, self.strides = storage, offset, sizes, strides
        self.requires_grad = requires_grad


class Dtype:
    def __init__(self, name):
        self.name, self.order = name, "<"


def make_tensor(view, offset, sizes, strides, requires_grad=False, hooks=None, attributes=None):
    return Tensor(view.storage, view.offset + offset, list(sizes), list(strides), requires_grad)


def make_parameter(tensor, requires_grad=True, hooks=None):
    return Tensor(tensor.storage, tensor.offset, tensor.sizes, tensor.strides, requires_grad)


def make_dtype(name, *more):
    return Dtype(name) if name in ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "b1") else UNKNOWN


def make_scalar(dtype, content):
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogateescape")
    code = {"f8": "d", "f4": "f", "f2": "e", "i8": "q", "i4": "i", "i2": "h", "i1": "b", "u8": "Q", "u4": "I", "u2": "H", "u1": "B", "b1": "?"}
    return struct.unpack((">" if dtype.order == ">" else "<") + code[dtype.name], content)[0]


KNOWN = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): make_tensor,
    ("torch._utils", "_rebuild_tensor"): make_tensor,
    ("torch._utils", "_rebuild_parameter"): make_parameter,
    ("torch.nn.parameter", "Parameter"): make_parameter,
    ("numpy.core.multiarray", "scalar"): make_scalar,
    ("numpy._core.multiarray", "scalar"): make_scalar,
    ("numpy", "dtype"): make_dtype,
    ("_codecs", "encode"): lambda text, encoding: text.encode("latin-1"),
    ("__builtin__", "slice"): slice,
    ("builtins", "slice"): slice,
}


class Unpickler(pickle._Unpickler):
    """Python's own, the one written in Python: the other takes memory for as many places as the largest number of one."""

    dispatch = dict(pickle._Unpickler.dispatch)

    def __init__(self, file, storages):
        # A string of Python 2 that is not UTF-8 is bytes to ours.
        super().__init__(file, encoding="utf-8", errors="surrogateescape")
        self.file, self.storages = file, storages

    def find_class(self, module, name):
        if (module, name) in KNOWN:
            return Known(name, KNOWN[module, name])
        return Known(name, None) if module == "torch" and name in WIDTHS else UNKNOWN

    def persistent_load(self, parts):
        if isinstance(parts, str):
            raise Skip  # as Python prints an id (protocol 0): nothing of Python's reads that
        if len(parts) > 1 and parts[0] in ("module", "storage") and parts[1] is UNKNOWN:
            return UNKNOWN
        key, kind, count = parts[2], parts[1].name, parts[4]
        storage = self.storages.setdefault(key, Storage(key, kind, count))
        return View(storage, parts[5][1] if len(parts) > 5 and parts[5] else 0)

    # Names in messages need not be UTF-8.
    def load_global(self):
        module, name = (self.readline()[:-1].decode("utf-8", "surrogateescape") for _ in range(2))
        self.append(self.find_class(module, name))

    def load_reduce(self):
        arguments, callee = self.stack.pop(), self.stack[-1]
        if callee is UNKNOWN:
            return
        self.stack[-1] = UNKNOWN if UNKNOWN in arguments else callee.make(*arguments)

    def load_newobj(self):
        self.stack.pop()

    def load_newobj_ex(self):
        del self.stack[-2:]

    def load_build(self):
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Dtype):
            target.order = state[1]
        elif isinstance(target, Tensor):
            target.requires_grad = state[0]
        elif target is not UNKNOWN and not isinstance(target, OrderedDict):
            raise TypeError("a state for something that has none")

    # Sets are not known to ours.
    def load_empty_set(self):
        self.append(UNKNOWN)

    def load_frozenset(self):
        self.pop_mark()
        self.append(UNKNOWN)

    # A frame says how far one may read at once. Ours reads everything at once, and only looks whether it is there.
    def load_frame(self):
        length = struct.unpack("<Q", self.read(8))[0]
        if length > len(self.file.getbuffer()) - self.file.tell():
            raise EOFError

    # Ours takes numbers with zeros in front.
    def load_int(self):
        text = self.readline()[:-1]
        self.append(text == b"01" if text in (b"00", b"01") else int(text))

    def load_long(self):
        self.append(int(self.readline()[:-1].removesuffix(b"L")))


for _op, _load in (
    (pickle.GLOBAL, Unpickler.load_global), (pickle.REDUCE, Unpickler.load_reduce), (pickle.NEWOBJ, Unpickler.load_newobj),
    (pickle.NEWOBJ_EX, Unpickler.load_newobj_ex), (pickle.BUILD, Unpickler.load_build), (pickle.FRAME, Unpickler.load_frame),
    (pickle.EMPTY_SET, Unpickler.load_empty_set), (pickle.FROZENSET, Unpickler.load_frozenset), (pickle.INT, Unpickler.load_int),
    (pickle.LONG, Unpickler.load_long),
):
    Unpickler.dispatch[_op[0]] = _load


def text_of_float(value):
    return "nan" if math.isnan(value) else struct.pack(">d", value).hex()


def text_of_tensor(tensor):
    storage, width = tensor.storage, WIDTHS[tensor.storage.kind]
    head = f"t {storage.kind} {tensor.sizes} {int(tensor.requires_grad)}"
    places = [tensor.offset] if 0 not in tensor.sizes else []
    if math.prod(tensor.sizes) > MOST_ELEMENTS:
        return head
    for size, stride in zip(tensor.sizes, tensor.strides):
        places = [place + i * stride for place in places for i in range(size)]
    content = b"".join(storage.content[place * width : (place + 1) * width] for place in places)
    if storage.kind == "BoolStorage":
        content = bytes(byte != 0 for byte in content)
    return f"{head} {content.hex()}"


def text_of_key(key):
    # Beyond 2**62 ours tells a float from the equal integer; no number is equal to another NaN.
    if isinstance(key, float) and not abs(key) < 2.0**62:
        raise Skip
    # To ours a string of Python 2 that is not UTF-8 is the same key as bytes.
    if isinstance(key, str) and any("\udc80" <= c <= "\udcff" for c in key):
        raise Skip
    if not isinstance(key, (type(None), bool, int, float, str, bytes, bytearray)):
        raise TypeError("no key")
    return text_of(key)


def text_of(value):
    if value is None:
        return "None"
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int):
        return f"i{value}"
    if isinstance(value, float):
        return f"f{text_of_float(value)}"
    if isinstance(value, str):
        try:
            return f"s{value.encode('utf-8').hex()}"
        except UnicodeEncodeError:
            return f"b{value.encode('utf-8', 'surrogateescape').hex()}"
    if isinstance(value, (bytes, bytearray)):
        return f"b{value.hex()}"
    if isinstance(value, list):
        return f"[{','.join(map(text_of, value))}]"
    if isinstance(value, tuple):
        return f"({','.join(map(text_of, value))})"
    if isinstance(value, slice):
        return f"slice({text_of(value.start)},{text_of(value.stop)},{text_of(value.step)})"
    if isinstance(value, dict):
        entries = ",".join(f"{text_of_key(key)}:{text_of(item)}" for key, item in value.items())
        return f"{'o' if isinstance(value, OrderedDict) else ''}{{{entries}}}"
    if isinstance(value, Tensor):
        return text_of_tensor(value)
    raise TypeError(f"{value} stands where a value is expected")


def read_pickle(data):
    """The object, the keys of its storages, and these, as a legacy checkpoint has them behind its head."""
    file, storages = io.BytesIO(data), {}
    try:
        value = Unpickler(file, storages).load()
        for key in Unpickler(file, storages).load():
            storage = storages[key]
            storage.count = struct.unpack("<q", file.read(8))[0]
            storage.content = file.read(storage.count * WIDTHS[storage.kind])
        return text_of(value)
    except Skip:
        return None
    except TypeError as e:
        # Python cannot have such a key; ours refuses it where the dictionary is wanted.
        if "unhashable" in str(e):
            return None
        raise


class Refused(Exception):
    pass


def refuse(what):
    raise Refused(what)


SAFETENSORS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


def distinct(pairs):
    if len(dict(pairs)) != len(pairs):
        refuse("a name occurs twice")
    return dict(pairs)


class Pairs(list):
    """An object of JSON, not yet a dict."""


def tensors_of(data):
    """Yields the format's parts: eight bytes of length, JSON, the tensors one behind the other without a hole."""
    length = struct.unpack("<Q", data[:8])[0] if len(data) >= 8 else refuse("too short")
    text = data[8 : 8 + length]
    if length > len(data) - 8 or not text.startswith(b"{"):
        refuse("no header")
    # Numbers are lengths and places: whole, and not negative, not even -0.
    whole = lambda digits: refuse("negative") if digits.startswith("-") else int(digits)
    header = distinct(json.loads(text.decode("utf-8"), object_pairs_hook=Pairs, parse_int=whole, parse_float=refuse, parse_constant=refuse))
    metadata = header.pop("__metadata__", Pairs())
    tensors = []
    for name, pairs in header.items():
        info = distinct(pairs) if isinstance(pairs, Pairs) else refuse("no object")
        if set(info) != {"dtype", "shape", "data_offsets"} or not isinstance(info["dtype"], str) or info["dtype"] not in SAFETENSORS:
            refuse("no description of a tensor")
        shape, offsets = info["shape"], info["data_offsets"]
        for numbers in (shape, offsets):
            if type(numbers) is not list or not all(type(number) is int for number in numbers):
                refuse("no list of numbers")
        width = SAFETENSORS[info["dtype"]]
        # Ours refuses a shape whose sizes overflow beside a 0, and more dimensions than PyTorch has.
        if len(offsets) != 2 or len(shape) > 64 or width * math.prod(max(size, 1) for size in shape) >= 2**63:
            refuse("a shape that cannot be")
        tensors.append((name, info["dtype"], shape, *offsets))
    place = 8 + length
    for _, dtype, shape, begin, end in sorted(tensors, key=lambda tensor: tensor[3:]):
        if 8 + length + begin != place or end - begin != SAFETENSORS[dtype] * math.prod(shape):
            refuse("a hole, an overlap or another length")
        place = 8 + length + end
    if place != len(data):
        refuse("bytes behind the tensors")
    if not isinstance(metadata, Pairs) or not all(isinstance(value, str) for _, value in metadata):
        refuse("no metadata")
    return dict(metadata), tensors, data[8 + length :]


def read_safetensors(data):
    """None when the file is none."""
    try:
        metadata, tensors, content = tensors_of(data)
        # Half a letter ("\\ud800") is no UTF-8.
        lines = [f"{key}={value}" for key, value in sorted((key.encode().hex(), value.encode().hex()) for key, value in metadata.items())]
        for name, dtype, shape, begin, end in tensors:
            part = content[begin:end]
            if dtype == "BOOL":
                part = bytes(byte != 0 for byte in part)
            lines.append(f"{name.encode().hex()} {dtype} {shape} {part.hex()}")
        return "\n".join(lines)
    except (Refused, ValueError, RecursionError):
        return None
