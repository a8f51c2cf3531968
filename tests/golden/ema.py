"""Writes ema.json: a linear layer trained by plain gradient descent with decoupled weight decay, and the exponential moving
average of its weights after every step. Pure Python in double precision, every formula written out here; run it in this folder:
python3 ema.py."""

import json

MASK = (1 << 64) - 1


def sgn(key, i):
    """The counter-based generator of README.md, in [-1, 1)."""
    state = 14695981039346656037
    for byte in key.encode():
        state = ((state ^ byte) * 1099511628211) & MASK
    z = (state + (i + 1) * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return 2 * ((z ^ (z >> 31)) >> 11) * 2.0**-53 - 1


def grid(key, rows, cols):
    return [[sgn(key, r * cols + c) for c in range(cols)] for r in range(rows)]


def outputs(weight, bias, x):
    return [[sum(w * v for w, v in zip(row, item)) + b for row, b in zip(weight, bias)] for item in x]


def loss(weight, bias, x, y):
    """Mean of the squares over items and numbers."""
    errors = [o - t for out, want in zip(outputs(weight, bias, x), y) for o, t in zip(out, want)]
    return sum(e * e for e in errors) / len(errors)


def flat(weight, bias):
    return [value for row in weight for value in row] + list(bias)


def case(name, decay, warm_up, lr, wd, n=12, n_in=3, n_out=2, bs=4, epochs=3):
    x, y = grid("ema.x", n, n_in), grid("ema.y", n, n_out)
    weight, bias = grid("ema.weight", n_out, n_in), [sgn("ema.bias", i) for i in range(n_out)]
    average = flat(weight, bias)
    steps, rows = 0, []
    for _ in range(epochs):
        for first in range(0, n, bs):
            xb, yb = x[first : first + bs], y[first : first + bs]
            errors = [[o - t for o, t in zip(out, want)] for out, want in zip(outputs(weight, bias, xb), yb)]
            scale = 2 / (bs * n_out)
            for o in range(n_out):
                gradient = [scale * sum(e[o] * item[i] for e, item in zip(errors, xb)) for i in range(n_in)]
                weight[o] = [w * (1 - lr * wd) - lr * g for w, g in zip(weight[o], gradient)]
                bias[o] = bias[o] * (1 - lr * wd) - lr * scale * sum(e[o] for e in errors)
            d = min(decay, (1 + steps) / (10 + steps)) if warm_up else decay
            average = [d * a + (1 - d) * v for a, v in zip(average, flat(weight, bias))]
            steps += 1
        averaged = [average[o * n_in : (o + 1) * n_in] for o in range(n_out)], average[n_out * n_in :]
        rows.append(
            {
                "trained": flat(weight, bias),
                "average": average,
                "valid_loss": loss(*averaged, x, y),
                "valid_loss_trained": loss(weight, bias, x, y),
            }
        )
    return {
        "name": name,
        "decay": decay,
        "warm_up": warm_up,
        "lr": lr,
        "wd": wd,
        "n": n,
        "n_in": n_in,
        "n_out": n_out,
        "bs": bs,
        "epochs": rows,
    }


CASES = [
    case("plain", 0.9, False, 0.2, 0.0),
    case("with weight decay", 0.97, False, 0.1, 0.5),
    case("warm-up that ends", 0.4, True, 0.2, 0.0),
    case("warm-up all along", 0.9999, True, 0.3, 0.1),
    case("no average", 0.0, False, 0.2, 0.0),
]

if __name__ == "__main__":
    with open("ema.json", "w", encoding="ascii") as file:
        json.dump({"format": "fastcpp-golden/1", "cases": CASES}, file, indent=1)
        file.write("\n")
