#!/usr/bin/python3
"""Writes the seeds of the fuzz targets to corpus/: small files of every kind and path. Needs PyTorch and Pillow.

Text stands as it is (.txt), other bytes in hexadecimal digits (.hex)."""
import gzip
import io
import json
import pathlib
import struct
import tarfile
import zipfile
import zlib

import torch
from PIL import Image

ROOT = pathlib.Path(__file__).parent / "corpus"


def seed(target, name, data):
    folder = ROOT / target
    folder.mkdir(parents=True, exist_ok=True)
    plain = all(b in b"\n\t" or 32 <= b < 127 for b in data)
    if plain and data.endswith(b"\n"):
        (folder / (name + ".txt")).write_bytes(data)
        return
    digits = data.hex()
    lines = [digits[i : i + 120] for i in range(0, len(digits), 120)]
    (folder / (name + ".hex")).write_text("\n".join(lines) + "\n")


def zip_of(entries, method=zipfile.ZIP_STORED, comment=b""):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        for name, data in entries:
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            z.writestr(info, data)
        z.comment = comment
    return out.getvalue()


def zip64_of(name, data):
    """One stored entry whose sizes stand in zip64 records."""
    crc = zlib.crc32(data)
    big, raw = 0xFFFFFFFF, name.encode()
    extra = struct.pack("<HHQQ", 1, 16, len(data), len(data))
    local = struct.pack("<IHHHHHIIIHH", 0x04034B50, 45, 0, 0, 0, 0, crc, big, big, len(raw), len(extra)) + raw + extra + data
    extra = struct.pack("<HHQQQ", 1, 24, len(data), len(data), 0)
    central = struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 45, 45, 0, 0, 0, 0, crc, big, big, len(raw), len(extra), 0, 0, 0, 0, big) + raw + extra
    end64 = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, 1, 1, len(central), len(local))
    locator = struct.pack("<IIQI", 0x07064B50, 0, len(local) + len(central), 1)
    return local + central + end64 + locator + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, big, big, 0)


def tar_of(add, mode):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=tarfile.GNU_FORMAT) as t:
        add(t)
    data = out.getvalue()
    return data[: (len(data.rstrip(b"\0")) + 1023) // 512 * 512 + 512] if mode == "w" else data


def tar_info(name, size):
    info = tarfile.TarInfo(name)
    info.size = size
    return info


def tar_entries(t, long=True):
    def entry(name, data=None, **more):
        info = tarfile.TarInfo(name)
        for key, value in more.items():
            setattr(info, key, value)
        if data is not None:
            info.size = len(data)
        t.addfile(info, io.BytesIO(data) if data is not None else None)

    entry("set", type=tarfile.DIRTYPE)
    entry("set/a.txt", b"some text")
    entry("set/link", type=tarfile.SYMTYPE, linkname="a.txt")
    entry("set/hard", type=tarfile.LNKTYPE, linkname="set/a.txt")
    if long:
        entry("set/" + "long" * 30, b"x")


def shard_of(form):
    out = io.BytesIO()
    long = "deep/" * 22 + "2.jpg"
    with tarfile.open(fileobj=out, mode="w", format=form) as t:
        for name, data in (("cat/1.jpg", b"picture"), ("cat/1.cls", b"0"), (long, b"other")):
            t.addfile(tar_info(name, len(data)), io.BytesIO(data))
        if form == tarfile.PAX_FORMAT:
            info = tar_info("3.jpg", 1)
            info.pax_headers = {"size": "1"}
            t.addfile(info, io.BytesIO(b"x"))
    data = out.getvalue()
    return data[: (len(data.rstrip(b"\0")) + 511) // 512 * 512 + 512]


def pack_of(entries, notes=b""):
    head = b"\x93FCPACK\n" + struct.pack("<I", 1)
    head += struct.pack("<I", zlib.crc32(head))
    contents = b"".join(data for _, data in entries)
    index = b"".join(struct.pack("<QII", len(data), zlib.crc32(data), len(name)) for name, data in entries)
    behind = index + b"".join(name for name, _ in entries) + notes
    at, size = len(head) + len(contents), len(head) + len(contents) + len(behind) + 64
    letters = sum(len(name) for name, _ in entries)
    tail = struct.pack("<QQQQQIQ", len(entries), at, letters, len(notes), size, zlib.crc32(behind), 0)
    return head + contents + behind + tail + struct.pack("<I", zlib.crc32(tail)) + head[:8]


def safetensors_of(tensors, data, **more):
    header = json.dumps({**more, **tensors}, separators=(",", ":")).encode()
    return struct.pack("<Q", len(header)) + header + data


def torch_file(value, zipped):
    out = io.BytesIO()
    torch.save(value, out, _use_new_zipfile_serialization=zipped)
    return out.getvalue()


def picture(kind, mode="RGB", **options):
    image = Image.new("RGB", (13, 9))
    image.putdata([(x * 19 % 256, y * 27 % 256, (x * y * 5) % 256) for y in range(9) for x in range(13)])
    out = io.BytesIO()
    image.convert(mode).save(out, kind, **options)
    return out.getvalue()


def animation(kind, **options):
    frames = [Image.new("RGB", (12, 8), c) for c in ("red", "blue")]
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:], **options)
    return out.getvalue()


def main():
    two = [("archive/a", b"some text"), ("archive/b", bytes(range(40)))]
    seed("zip", "stored", zip_of(two))
    seed("zip", "deflated", zip_of([("a", b"text " * 20)], zipfile.ZIP_DEFLATED))
    seed("zip", "comment", zip_of([("a", b"x")], comment=b"a comment"))
    seed("zip", "zip64", zip64_of("a", b"some text"))
    seed("zip", "empty", zip_of([]))

    # LibTorch's reader wants a version, and everything in one folder.
    records = [("a/version", b"3\n"), ("a/data.pkl", b"\x80\x02N."), ("a/data/0", bytes(range(12))), ("a/code/x", b"text " * 20)]
    seed("zip_libtorch", "stored", zip_of(records))
    seed("zip_libtorch", "deflated", zip_of(records, zipfile.ZIP_DEFLATED))
    seed("zip_libtorch", "torch", torch_file({"w": torch.ones(2)}, True))

    one = torch.arange(3, dtype=torch.float32)
    seed("checkpoint", "zip", torch_file({"w": one}, True))
    seed("checkpoint", "legacy", torch_file({"w": one, "v": one[1:]}, False))
    values = {"i": 7, "big": 1 << 70, "f": 2.5, "t": (1, None, True), "l": ["text", b"bytes"], "n": -(1 << 40)}
    for name, value in (("values", values), ("tensors", {"w": one, "b": one.to(torch.int64).reshape(1, 3)}), ("strided", torch.ones(2, 3).t())):
        legacy = torch_file(value, False)
        # The three pickles at the start are what the target puts there itself.
        seed("pickle", name, legacy[legacy.index(b"u.\x80\x02") + 2 :])
    seed("pickle", "protocol0", b"(dp0\nVa\np1\n(lp2\nI1\naF2.5\naL5L\naS'x'\nas.\x80\x02].")
    seed("pickle", "protocol4", b"\x80\x04\x95\x1f\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94]\x94(K\x01G@\x04\x00\x00\x00\x00\x00\x00C\x02xy\x8f(K\x01\x90eu.\x80\x02].")
    seed("pickle", "ordered", b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01X\x01\x00\x00\x00aq\x02K\x01s.\x80\x02].")

    f32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    i64 = {"dtype": "I64", "shape": [1, 1], "data_offsets": [8, 16]}
    flags = {"dtype": "BOOL", "shape": [2], "data_offsets": [16, 18]}
    seed("safetensors", "three", safetensors_of({"a": f32, "b": i64, "c": flags}, bytes(16) + b"\1\0"))
    seed("safetensors", "metadata", safetensors_of({"a": f32}, bytes(8), __metadata__={"format": "pt"}))
    seed("safetensors", "scalar", safetensors_of({"a": {"dtype": "F16", "shape": [], "data_offsets": [0, 2]}}, b"\0\x3c"))
    seed("safetensors", "none", safetensors_of({}, b""))

    description = {"format": "fastcpp learner", "version": 1, "weights": {"tensors": 1, "numbers": 2}, "stats": {"mean": [0.5], "std": [0.25]}}
    seed("model_file", "small", json.dumps(description).encode() + b"\n" + safetensors_of({"a": f32}, bytes(8)))

    # The mark of the end is one block of zeros here: a shard needs no more.
    for name, form in (("ustar", tarfile.USTAR_FORMAT), ("gnu", tarfile.GNU_FORMAT), ("pax", tarfile.PAX_FORMAT)):
        seed("tar", name, shard_of(form))
    seed("pack", "none", pack_of([]))
    seed("pack", "three", pack_of([(b"cat/1.jpg", b"picture"), (b"b", b""), (b"a", b"other")], b'{"columns": []}'))
    seed("archive", "tar", tar_of(lambda t: tar_entries(t, long=False), "w"))
    seed("archive", "tgz", gzip.compress(tar_of(tar_entries, "w"), mtime=0))
    # As many bytes and entries as the target allows, and one more.
    for name, sizes in (("full", (600, 400)), ("more_bytes", (600, 401)), ("many", (1,) * 8), ("more_entries", (1,) * 9)):
        files = lambda t: [t.addfile(tar_info(f"set/{i}", size), io.BytesIO(bytes(size))) for i, size in enumerate(sizes)]
        seed("archive", name, gzip.compress(tar_of(files, "w"), mtime=0))
    seed("archive", "bz2", tar_of(tar_entries, "w:bz2"))
    seed("archive", "xz", tar_of(tar_entries, "w:xz"))
    seed("archive", "zip", zip_of([("set/", b""), ("set/a.txt", b"some text"), ("set/b", b"")]))
    seed("archive", "deflated", zip_of([("a.txt", b"text " * 20)], zipfile.ZIP_DEFLATED))

    seed("csv", "labels", b"@aname,label,n\na.png,cat,1\nb.png,dog,\n")
    seed("csv", "quotes", b'@aa,"b ""c""",d\n"1,5","two\nlines",x\n,"",NA\n')
    seed("csv", "numbers", b"@aa,b,c,d\n1,1.5,True,18446744073709551615\n-2,1e9,false,1\n,nan,,2\n")
    seed("csv", "semicolons", b"Eaa;b\n 1;2\n\n3\n")
    seed("csv", "crlf", b"@a\xef\xbb\xbfa,a,\r\n1,2,3\r\n\xc3\xa9,\xf0\x9f\x98\x80,0001\r")
    seed("csv", "marks", b'@a\xef\xbb\xbf"\xef\xbb\xbfa",\xef\xbb\xbf,b\xef\xbb\xbfc\n1,2,3\n')
    seed("csv", "latin1", b"Haname\n\xe9\n")

    seed("regex", "pets", b"([^/]+)_\\d+.jpg$\n/data/images/great_pyrenees_12.jpg\n")
    seed("regex", "nested", b"((a|b)*?c)(?=d)|(?P<n>x{2,3})\nababcd xxx\n")
    seed("regex", "letters", b"(\\w+)[^\\W\\d_]\\b\n\xc3\xa9t\xc3\xa9 \xff\n")

    seed("json", "values", b'{"a": [1, -2, 2.5e3, true, false, null], "b": {"c": "text \\u00e9\\n"}, "d": 18446744073709551615}\n')
    seed("json", "list", b'[[], {}, "", 0.1, [["x"]]]\n')

    seed("json", "many", b"[" + b"0," * 298 + b"0]\n")
    seed("json", "deep", b"[" * 199 + b"]" * 199 + b"\n")

    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nETag: \"x1\"\r\n\r\nbody"
    seed("http", "whole", ok)
    seed("http", "resumed", b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nETag: \"x1\"\r\n\r\nhalf====\nHTTP/1.1 206 Partial Content\r\nContent-Range: bytes 4-7/8\r\nContent-Length: 4\r\nETag: \"x1\"\r\n\r\nmore")
    seed("http", "redirect", b"HTTP/1.1 302 Found\r\nLocation: http://fuzz.invalid/other\r\nContent-Length: 0\r\n\r\n====\n" + ok)
    # As long as the target allows, and one byte more.
    for size in (64, 65):
        seed("http", f"long{size}", b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * size)
        seed("http", f"told{size}", b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
    seed("http", "chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nLast-Modified: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    seed("http", "retry", b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\n\r\n====\nHTTP/1.0 200 OK\r\n\r\ntext")

    for name, data in (
        ("jpeg", picture("JPEG", quality=60)), ("progressive", picture("JPEG", progressive=True, quality=40)), ("grey", picture("JPEG", "L")),
        ("cmyk", picture("JPEG", "CMYK")), ("png", picture("PNG")), ("palette", picture("PNG", "P")), ("alpha", picture("PNG", "LA")),
        ("gif", picture("GIF", "P")), ("bmp", picture("BMP")), ("bmp8", picture("BMP", "L")), ("webp", picture("WEBP", quality=40)),
        ("lossless", picture("WEBP", lossless=True)), ("animated", animation("WEBP")), ("tiff", picture("TIFF", "L")), ("float", picture("TIFF", "F")),
        ("ppm", picture("PPM")), ("pgm", picture("PPM", "L")),
    ):
        seed("image", name, data)
    # Found: a frame of 225 channels.
    seed("image", "found_channels", b"\xff\xd8\xff\xc0\0\x0b\x08\0\x09\0\x0d\xe1\0\0\0\xff\xd9")
    # A frame header that ends before it tells a size.
    seed("image", "found_short_frame", b"\xff\xd8\xff\xc0\0\x07\x08\0\x09\0\x0d\x01\0\x11\0\xff\xd9")
    # Rows whose bytes are too many for 64 bits.
    header = struct.pack("<IiiHHIIiiII", 40, 1 << 30, 1 << 30, 1, 1 << 15, 0, 0, 0, 0, 0, 0)
    seed("image", "found_endless_rows", b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header)
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    jpeg = picture("JPEG", quality=60)
    seed("image", "exif", jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:])
    for name, other in (("image_header", "image"), ("pickle_python", "pickle"), ("safetensors_python", "safetensors")):
        if not (ROOT / name).exists():
            (ROOT / name).symlink_to(other)
    for name, data in (("still", picture("GIF", "P")), ("animated", animation("GIF")), ("grey", picture("GIF", "L", interlace=1))):
        seed("gif", name, data[6:])
    transparent = Image.new("P", (7, 5), 1)
    transparent.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    out = io.BytesIO()
    transparent.save(out, "GIF", transparency=2, interlace=0)
    seed("gif", "transparent", out.getvalue()[6:])


main()
