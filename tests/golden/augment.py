#!/usr/bin/env python3
"""Writes augment.json and augment.bin beside itself: CutMix, random erasing, RandAugment, TrivialAugment.

Written from the papers and torchvision's documentation, in levels of 0..255 and by torchvision's matrices, where the library
works in 0..1 and by coordinates of its own. The standard library of Python 3 is all it needs.
"""
import json
import math
import pathlib
import struct

HERE = pathlib.Path(__file__).resolve().parent
RAW = bytearray()
MASK = (1 << 64) - 1
OPS = ["Identity", "ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast",
       "Sharpness", "Posterize", "Solarize", "AutoContrast", "Equalize"]


def u01(key, i):
    """The generator of README.md."""
    h = 14695981039346656037
    for byte in key.encode():
        h = ((h ^ byte) * 1099511628211) & MASK
    z = (h + (i + 1) * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return ((z ^ (z >> 31)) >> 11) * 2.0 ** -53


def stored(planes, dtype="float32"):
    """planes[c][y][x] as an array of the raw file; floats are levels and become 0..1."""
    flat = [value for plane in planes for row in plane for value in row]
    offset = len(RAW)
    if dtype == "uint8":
        RAW.extend(bytes(flat))
    else:
        RAW.extend(struct.pack("<%df" % len(flat), *[value / 255 for value in flat]))
        RAW.extend(b"\0" * (-len(RAW) % 4))
    while len(RAW) % 4:
        RAW.append(0)
    return {"file": "augment.bin", "dtype": dtype, "shape": [len(planes), len(planes[0]), len(planes[0][0])],
            "offset": offset}


def picture(channels, rows, cols, low=0, span=256):
    return [[[low + (7 * x + 13 * y + 31 * c + x * y * (c + 1) // 3) % span for x in range(cols)] for y in range(rows)]
            for c in range(channels)]


# --- operations on levels -------------------------------------------------------------------------------------------


def each(planes, f):
    return [[[f(v) for v in row] for row in plane] for plane in planes]


def inverse_matrix(center, angle, translate, shear):
    """From places of the result to places of the source, about `center`, as torchvision builds it; all angles in degrees."""
    rot, sx, sy = math.radians(angle), math.radians(shear[0]), math.radians(shear[1])
    a = math.cos(rot - sy) / math.cos(sy)
    b = -math.cos(rot - sy) * math.tan(sx) / math.cos(sy) - math.sin(rot)
    c = math.sin(rot - sy) / math.cos(sy)
    d = -math.sin(rot - sy) * math.tan(sx) / math.cos(sy) + math.cos(rot)
    m = [d, -b, 0.0, -c, a, 0.0]
    m[2] += m[0] * (-center[0] - translate[0]) + m[1] * (-center[1] - translate[1]) + center[0]
    m[5] += m[3] * (-center[0] - translate[0]) + m[4] * (-center[1] - translate[1]) + center[1]
    return m


def affine(planes, center=(0.0, 0.0), angle=0.0, translate=(0, 0), shear=(0.0, 0.0)):
    m = inverse_matrix(center, angle, translate, shear)
    rows, cols = len(planes[0]), len(planes[0][0])
    result = each(planes, lambda v: 0)
    for y in range(rows):
        for x in range(cols):
            u = m[0] * (x + 0.5) + m[1] * (y + 0.5) + m[2]
            v = m[3] * (x + 0.5) + m[4] * (y + 0.5) + m[5]
            # Rounding must not decide which pixel is nearest.
            assert abs(u - round(u)) > 1e-6 and abs(v - round(v)) > 1e-6, (x, y, u, v)
            i, k = math.floor(v), math.floor(u)
            if 0 <= i < rows and 0 <= k < cols:
                for c in range(len(planes)):
                    result[c][y][x] = planes[c][i][k]
    return result


def blend(one, other, ratio):
    return [[[min(max(ratio * one[c][y][x] + (1 - ratio) * other[c][y][x], 0.0), 255.0)
              for x in range(len(one[0][0]))] for y in range(len(one[0]))] for c in range(len(one))]


def gray(planes):
    if len(planes) == 1:
        return planes
    rows, cols = len(planes[0]), len(planes[0][0])
    plane = [[0.2989 * planes[0][y][x] + 0.587 * planes[1][y][x] + 0.114 * planes[2][y][x] for x in range(cols)]
             for y in range(rows)]
    return [plane] * len(planes)


def smoothed(planes):
    weights = [[1, 1, 1], [1, 5, 1], [1, 1, 1]]
    result = each(planes, lambda v: v)
    for c, plane in enumerate(planes):
        for y in range(1, len(plane) - 1):
            for x in range(1, len(plane[0]) - 1):
                result[c][y][x] = sum(weights[i][k] * plane[y + i - 1][x + k - 1]
                                      for i in range(3) for k in range(3)) / 13
    return result


def stretched(plane):
    low, high = min(map(min, plane)), max(map(max, plane))
    if low == high:
        return plane
    return [[(v - low) * 255 / (high - low) for v in row] for row in plane]


def equalized(plane):
    counts = [0] * 256
    for row in plane:
        for v in row:
            counts[v] += 1
    some = [n for n in counts if n]
    step = (sum(some) - some[-1]) // 255
    if len(some) <= 1 or step == 0:
        return plane
    table, n = [], step // 2
    for level in range(256):
        table.append(min(n // step, 255))
        n += counts[level]
    return [[table[v] for v in row] for row in plane]


def run(op, magnitude, planes):
    rows, cols = len(planes[0]), len(planes[0][0])
    if op == "Identity":
        return planes
    if op == "ShearX":
        return affine(planes, shear=(math.degrees(math.atan(magnitude)), 0.0))
    if op == "ShearY":
        return affine(planes, shear=(0.0, math.degrees(math.atan(magnitude))))
    if op == "TranslateX":
        return affine(planes, translate=(int(magnitude), 0))
    if op == "TranslateY":
        return affine(planes, translate=(0, int(magnitude)))
    if op == "Rotate":  # torchvision turns counter-clockwise here and clockwise in `affine`
        return affine(planes, center=(cols / 2, rows / 2), angle=-magnitude)
    if op == "Brightness":
        return blend(planes, each(planes, lambda v: 0), 1 + magnitude)
    if op == "Color":
        return blend(planes, gray(planes), 1 + magnitude)
    if op == "Contrast":
        one = gray(planes)[0]
        mean = sum(map(sum, one)) / (rows * cols)
        return blend(planes, each(planes, lambda v: mean), 1 + magnitude)
    if op == "Sharpness":
        return blend(planes, smoothed(planes), 1 + magnitude)
    if op == "Posterize":
        return each(planes, lambda v: v & ~(2 ** (8 - int(magnitude)) - 1))
    if op == "Solarize":
        return each(planes, lambda v: 255 - v if v >= magnitude else v)
    if op == "AutoContrast":
        return [stretched(plane) for plane in planes]
    return [equalized(plane) for plane in planes]


# --- what is drawn --------------------------------------------------------------------------------------------------


def linspace(first, last, n):
    return [first + (last - first) * i / (n - 1) for i in range(n)]


def space(n, shear, across, down, degrees, factor, bits):
    """Operation: its magnitudes (a number alone: no choice), whether they have a sign."""
    both = {name: (linspace(0, factor, n), True) for name in ("Brightness", "Color", "Contrast", "Sharpness")}
    return dict(both, Identity=(0.0, False), ShearX=(linspace(0, shear, n), True), ShearY=(linspace(0, shear, n), True),
                TranslateX=(linspace(0, across, n), True), TranslateY=(linspace(0, down, n), True),
                Rotate=(linspace(0, degrees, n), True),
                Posterize=([8 - round(i / ((n - 1) / bits)) for i in range(n)], False),
                Solarize=(linspace(255.0, 0.0, n), False), AutoContrast=(0.0, False), Equalize=(0.0, False))


def one_of(n, draws):
    return int(next(draws) * n)


def rand_augment(num_ops, magnitude, n, rows, cols, draws):
    magnitudes = space(n, 0.3, 150 / 331 * cols, 150 / 331 * rows, 30, 0.9, 4)
    chosen = []
    for _ in range(num_ops):
        op = OPS[one_of(len(OPS), draws)]
        values, signed = magnitudes[op]
        value = values[magnitude] if isinstance(values, list) else 0.0
        if signed and one_of(2, draws):
            value = -value
        chosen.append([op, value])
    return chosen


def trivial_augment_wide(n, draws):
    op = OPS[one_of(len(OPS), draws)]
    values, signed = space(n, 0.99, 32, 32, 135, 0.99, 6)[op]
    value = values[one_of(n, draws)] if isinstance(values, list) else 0.0
    if signed and one_of(2, draws):
        value = -value
    return [[op, value]]


def erasing_box(rows, cols, scale, ratio, draws):
    for _ in range(10):
        area = rows * cols * (scale[0] + (scale[1] - scale[0]) * next(draws))
        low, high = math.log(ratio[0]), math.log(ratio[1])
        aspect = math.exp(low + (high - low) * next(draws))
        h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if not (h < rows and w < cols):
            continue
        return [one_of(rows - h + 1, draws), one_of(cols - w + 1, draws), h, w]
    return None


def cutmix_box(lam, row, col, rows, cols):
    """torchvision: the centre is a pixel, half sides are rounded down; first row and column, rows, columns."""
    r = 0.5 * math.sqrt(1 - lam)
    r_x, r_y, half_w, half_h = int(col * cols), int(row * rows), int(r * cols), int(r * rows)
    x1, y1 = max(r_x - half_w, 0), max(r_y - half_h, 0)
    x2, y2 = min(r_x + half_w, cols), min(r_y + half_h, rows)
    return [y1, x1, y2 - y1, x2 - x1]


# --- the file -------------------------------------------------------------------------------------------------------


def ops_cases():
    small, dull = picture(3, 10, 13), picture(3, 10, 13, 40, 120)
    magnitudes = {"ShearX": [0.09, -0.27, 0.99], "ShearY": [0.21, -0.99], "TranslateX": [3.7, -2.2, 32],
                  "TranslateY": [4.08, -1], "Rotate": [9, -27, 121.5], "Brightness": [0.27, -0.99],
                  "Color": [0.9, -0.45], "Contrast": [0.6, -0.27], "Sharpness": [0.9, -0.9, 0.27],
                  "Posterize": [8, 4, 2], "Solarize": [178.5, 85, 255, 0]}
    cases = []
    for op in OPS:
        for magnitude in magnitudes.get(op, [0.0]):
            cases.append((op, magnitude, dull if op == "AutoContrast" else small))
    cases += [("Equalize", 0.0, picture(3, 20, 26)), ("Equalize", 0.0, picture(3, 20, 26, 40, 60)),
              ("Equalize", 0.0, [[[77] * 26] * 20] * 3), ("AutoContrast", 0.0, [[[77] * 5] * 4] * 3),
              ("Sharpness", 0.9, picture(3, 2, 9)), ("Color", 0.9, picture(1, 6, 5)),
              ("Contrast", 0.5, picture(1, 6, 5))]
    return [{"op": op, "magnitude": magnitude, "picture": stored(planes, "uint8"), "want": stored(run(op, magnitude, planes))}
            for op, magnitude, planes in cases]


def choice_cases():
    cases = []
    for k, (num_ops, magnitude, n) in enumerate([(2, 9, 31), (14, 30, 31), (20, 5, 10), (0, 0, 2), (20, 12, 25)]):
        uniform = [u01("rand %d" % k, i) for i in range(2 * num_ops)]
        cases.append({"name": "rand_augment", "num_ops": num_ops, "magnitude": magnitude, "num_magnitude_bins": n,
                      "rows": 200 + k, "cols": 300 - k, "uniform": uniform,
                      "want": rand_augment(num_ops, magnitude, n, 200 + k, 300 - k, iter(uniform))})
    for k in range(60):
        n = [31, 2, 13, 25][k % 4]
        uniform = [u01("trivial %d" % k, i) for i in range(3)]
        cases.append({"name": "trivial_augment_wide", "num_magnitude_bins": n, "uniform": uniform,
                      "want": trivial_augment_wide(n, iter(uniform))})
    return cases


def whole_cases():
    """Transforms as they are called. A picture between two operations is not rounded by the library: one operation each."""
    cases = []
    planes = picture(3, 12, 16)
    place = stored(planes, "uint8")
    for k in range(6):
        uniform = [u01("whole rand %d" % k, i) for i in range(2)]
        chosen = rand_augment(1, 9, 31, 12, 16, iter(uniform))
        cases.append({"name": "rand_augment", "args": {"num_ops": 1, "magnitude": 9}, "uniform": uniform, "picture": place,
                      "want": stored(run(*chosen[0], planes))})
        uniform = [u01("whole trivial %d" % k, i) for i in range(3)]
        chosen = trivial_augment_wide(31, iter(uniform))
        cases.append({"name": "trivial_augment_wide", "args": {}, "uniform": uniform, "picture": place,
                      "want": stored(run(*chosen[0], planes))})
    for k, value in enumerate([[0.0], [0.25], [0.485, 0.456, 0.406], [1.0]]):
        uniform = [u01("whole erasing %d" % k, i) for i in range(40)]
        box = erasing_box(12, 16, (0.02, 0.33), (0.3, 3.3), iter(uniform))
        want = each(planes, lambda v: v)
        if box:
            for c in range(3):
                for y in range(box[0], box[0] + box[2]):
                    for x in range(box[1], box[1] + box[3]):
                        want[c][y][x] = 255 * value[c % len(value)]
        cases.append({"name": "random_erasing", "args": {"values": value}, "uniform": uniform, "picture": place,
                      "want": stored(want)})
    return cases


def erasing_cases():
    cases = []
    for k in range(24):
        rows, cols = [(224, 224), (32, 48), (7, 100), (1, 1)][k % 4]
        scale, ratio = [((0.02, 0.33), (0.3, 3.3)), ((0.5, 1.0), (0.1, 10.0)), ((0.2, 0.2), (1.0, 1.0))][k % 3]
        uniform = [u01("erasing %d" % k, i) for i in range(40)]
        cases.append({"rows": rows, "cols": cols, "scale": scale, "ratio": ratio, "uniform": uniform,
                      "want": erasing_box(rows, cols, scale, ratio, iter(uniform))})
    return cases


def cutmix_cases():
    boxes = []
    for k in range(40):
        rows, cols = [(224, 224), (32, 48), (7, 5), (1, 1)][k % 4]
        lam = [u01("lambda", k), 0.0, 1.0, u01("lambda", k) ** 4][k // 10]
        row, col = u01("row", k), u01("col", k)
        boxes.append({"rows": rows, "cols": cols, "lambda": lam, "row": row, "col": col,
                      "want": cutmix_box(lam, row, col, rows, cols)})
    batches = []
    n, channels, rows, cols, classes = 4, 2, 6, 9, 3
    for k in range(6):
        lam, row, col = [u01("batch lambda", k), 0.0, 1.0][k % 3], u01("batch row", k), u01("batch col", k)
        perm = sorted(range(n), key=lambda i: u01("perm %d" % k, i))
        x = [[[[u01("x %d" % k, ((i * channels + c) * rows + y) * cols + z) for z in range(cols)] for y in range(rows)]
              for c in range(channels)] for i in range(n)]
        box = cutmix_box(lam, row, col, rows, cols)
        want = [[[[x[perm[i] if box[0] <= y < box[0] + box[2] and box[1] <= z < box[1] + box[3] else i][c][y][z]
                   for z in range(cols)] for y in range(rows)] for c in range(channels)] for i in range(n)]
        share = 1 - box[2] * box[3] / (rows * cols)
        target = [int(u01("target %d" % k, i) * classes) for i in range(n)]
        output = [[4 * u01("output %d" % k, i * classes + j) - 2 for j in range(classes)] for i in range(n)]

        def loss(i, label):
            return math.log(sum(math.exp(v) for v in output[i])) - output[i][label]

        batches.append({"shape": [n, channels, rows, cols], "lambda": lam, "row": row, "col": col, "perm": perm,
                        "x": flat(x), "want": flat(want), "share": share, "target": target, "output": flat(output),
                        "classes": classes,
                        "target_want": [share * target[i] + (1 - share) * target[perm[i]] for i in range(n)],
                        "loss": [share * loss(i, target[i]) + (1 - share) * loss(i, target[perm[i]]) for i in range(n)]})
    return boxes, batches


def flat(nested):
    return [v for item in nested for v in (flat(item) if isinstance(item, list) else [item])]


def main():
    boxes, batches = cutmix_cases()
    file = {"format": "fastcpp-golden/1", "ops": ops_cases(), "choices": choice_cases(), "transforms": whole_cases(),
            "erasing": erasing_cases(), "cutmix_boxes": boxes, "cutmix": batches}
    with open(HERE / "augment.json", "w", encoding="ascii") as out:
        out.write("{\n")
        names = list(file)
        for name in names:
            value = file[name]
            if isinstance(value, list):
                rows = ",\n  ".join(json.dumps(item, separators=(",", ":")) for item in value)
                text = "[\n  %s\n ]" % rows
            else:
                text = json.dumps(value)
            out.write(' "%s": %s%s\n' % (name, text, "" if name == names[-1] else ","))
        out.write("}\n")
    (HERE / "augment.bin").write_bytes(RAW)


if __name__ == "__main__":
    main()
