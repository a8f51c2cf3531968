"""Python's half of scripts/python-interop; that script says what is checked.

    python_interop.py middle|compare FOLDER small|resnet18 zip|legacy|safetensors

`middle` takes over what fastcpp saved after two steps and makes two more; `compare` takes what fastcpp saved after six
and makes all six by itself. Exits with 1 at the first difference.
"""
import json
import os
import struct
import sys
import zipfile

import torch
from torch import nn

STEPS = 2  # of one round; fastcpp, Python and fastcpp again make one round each
LR, WD, BETAS = (1e-4, 1e-3), 0.5, (0.9, 0.99)  # as in tests/interop/training.cpp; one rate per layer group, or:
LR_MIDDLE = 10 ** -3.5  # of the middle one of three
EPS = 1e-5
# Both sides compute in float32 but add in another order, which moves a gradient of about 1e-2 by about 1e-8. Adam divides
# by the gradient's size or by eps, whichever is larger, so a step of the largest rate moves by 1e-3 * 1e-8 / 1e-5 = 1e-6
# at most, six of them by 6e-6. (With PyTorch's eps of 1e-8 a gradient that is all rounding moves its parameter by a full
# step.) A wrong momentum, rate, decay or step count moves parameters by a good part of a step, 1e-3.
# Not so for resnet18 with weights that never saw a picture: its batch norms divide eight nearly equal values by nearly
# nothing, and Python by itself gets 2e-4 away when it only lays its tensors out differently. There, one step.
TOLERANCE = {'small': 1e-5, 'resnet18': LR[1]}
DTYPES = {'F32': (torch.float32, 4), 'I64': (torch.int64, 8)}


def fail(message):
    sys.exit(f'python_interop: {message}')


def load_safetensors(file):
    """The format by hand: length of the header, the header in JSON, the tensors."""
    with open(file, 'rb') as f:
        content = f.read()
    size, = struct.unpack('<Q', content[:8])
    data = content[8 + size:]
    tensors, end = {}, 0
    for name, entry in json.loads(content[8:8 + size]).items():
        if name == '__metadata__':
            continue
        begin, end = entry['data_offsets']
        dtype, width = DTYPES[entry['dtype']]
        tensor = torch.empty(0, dtype=dtype)
        if end > begin:
            tensor = torch.frombuffer(bytearray(data[begin:end]), dtype=dtype)
        if tensor.numel() * width != end - begin:
            fail(f'{file}: {name} has the wrong length')
        tensors[name] = tensor.reshape(entry['shape'])
    return tensors


def save_safetensors(file, tensors):
    names = {torch.float32: 'F32', torch.int64: 'I64'}
    header, data = {'__metadata__': {'format': 'pt'}}, b''
    for name, tensor in tensors.items():
        content = raw_bytes(tensor)
        header[name] = {'dtype': names[tensor.dtype], 'shape': list(tensor.shape),
                        'data_offsets': [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    with open(file, 'wb') as f:
        f.write(struct.pack('<Q', len(text)) + text + data)


def raw_bytes(tensor):
    return tensor.detach().contiguous().numpy().tobytes()


def read_raw(file):
    """The plain bytes that fastcpp wrote: `name type bytes`, a line's end, the bytes."""
    records = {}
    with open(file, 'rb') as f:
        while line := f.readline():
            name, dtype, size = line.decode().split()
            records[name] = (dtype, f.read(int(size)))
    return records


def write_raw(file, tensors):
    with open(file, 'wb') as f:
        for name, tensor in sorted(tensors.items()):
            content = raw_bytes(tensor)
            f.write(f'{name} {str(tensor.dtype)[6:]} {len(content)}\n'.encode() + content)


class ConcatPool(nn.Module):
    def __init__(self):
        super().__init__()
        self.ap, self.mp = nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1)

    def forward(self, x):
        return torch.cat([self.mp(x), self.ap(x)], 1)


def make_model(network):
    """The network and its layer groups."""
    if network == 'small':
        model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
                              nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
                              nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 2))
        return model, [model[:8], model[8:]]
    import torchvision
    body = nn.Sequential(*list(torchvision.models.resnet18().children())[:-2])
    head = nn.Sequential(ConcatPool(), nn.Flatten(), nn.BatchNorm1d(1024), nn.Linear(1024, 512), nn.ReLU(),
                         nn.BatchNorm1d(512), nn.Linear(512, 2))
    for module in body.modules():
        if not isinstance(module, nn.BatchNorm2d):
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad_(False)
    return nn.Sequential(body, head), [body[:6], body[6:], head]


def make_optimizer(layer_groups):
    """fastai's two parameter groups for every layer group: the second one holds normalisation and biases."""
    groups = []
    rates = [LR[0], LR_MIDDLE, LR[1]] if len(layer_groups) == 3 else LR
    for lr, layers in zip(rates, layer_groups):
        plain, rest = [], []
        for layer in layers.modules():
            normalisation = isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d))
            for name, parameter in layer.named_parameters(recurse=False):
                if parameter.requires_grad:
                    (rest if normalisation or name == 'bias' else plain).append(parameter)
        groups += [{'params': plain, 'lr': lr}, {'params': rest, 'lr': lr}]
    return torch.optim.Adam(groups, betas=BETAS, eps=EPS)


class Training:
    def __init__(self, folder, network, form):
        self.folder, self.network, self.form = folder, network, form
        self.model, layer_groups = make_model(network)
        self.opt = make_optimizer(layer_groups)
        self.batches = load_safetensors(self.path('batches.safetensors'))
        names = {parameter: name for name, parameter in self.model.named_parameters()}
        self.names = [names[p] for group in self.opt.param_groups for p in group['params']]

    def path(self, name):
        return os.path.join(self.folder, name)

    def pth(self, name):
        return self.path(os.path.join('models', name + '.pth'))

    def load(self, name):
        """Gives the file to PyTorch; returns its content as named tensors."""
        if self.form == 'safetensors':
            tensors = load_safetensors(self.path(name + '.safetensors'))
            model = {key[6:]: value for key, value in tensors.items() if key.startswith('model.')}
            opt = self.opt.state_dict()
            opt['state'] = {i: {} for i in range(len(self.names))}
            for key, value in tensors.items():
                if key.startswith('opt.'):
                    index, buffer = key[4:].split('.')
                    opt['state'][int(index)][buffer] = value
        else:
            if not zipfile.is_zipfile(self.pth(name)):
                fail(f'{name}.pth is no zip file')
            saved = torch.load(self.pth(name))
            if list(saved) != ['model', 'opt']:
                fail(f'{name}.pth holds {list(saved)}')
            model, opt = saved['model'], saved['opt']
            if len(opt['param_groups']) != len(self.opt.param_groups):
                fail(f"{name}.pth has {len(opt['param_groups'])} parameter groups")
            for mine, theirs in zip(self.opt.param_groups, opt['param_groups']):
                for key in ('betas', 'eps', 'weight_decay', 'amsgrad'):
                    if mine[key] != theirs[key]:
                        fail(f'{key} is {theirs[key]}, not {mine[key]}')
                if abs(mine['lr'] - theirs['lr']) > 1e-12:
                    fail(f"lr is {theirs['lr']}, not {mine['lr']}")
        self.model.load_state_dict(model, strict=True)
        self.opt.load_state_dict(opt)
        in_file = {'model.' + key: value for key, value in model.items()}
        for index, state in opt['state'].items():
            in_file |= {f'opt.{self.names[index]}.{key}': value for key, value in state.items()}
        self.check(name, in_file)
        return self

    def everything(self):
        """What PyTorch holds now."""
        result = {'model.' + name: value for name, value in self.model.state_dict().items()}
        for name, state in zip(self.names, (self.opt.state[p] for g in self.opt.param_groups for p in g['params'])):
            result |= {f'opt.{name}.{key}': value for key, value in state.items()}
        return result

    def check(self, name, in_file):
        """The file's content, and what PyTorch made of it, against fastcpp's plain bytes."""
        expected = read_raw(self.path(name + '.raw'))
        for where, found in (('the file', in_file), ('PyTorch', self.everything())):
            if sorted(found) != sorted(expected):
                fail(f'{name}: only on one side ({where}): {sorted(set(found) ^ set(expected))}')
            for key, (dtype, content) in expected.items():
                if str(found[key].dtype) != 'torch.' + dtype or raw_bytes(found[key]) != content:
                    fail(f'{name}: {where} has other bits in {key}')
        tensors = sum(key.startswith('model.') for key in expected)
        states = sum(key.endswith('.step') for key in expected)
        if states != len(self.names):
            fail(f'{name}: Adam state of {states} parameters instead of {len(self.names)}')
        step, = struct.unpack('<f', expected[f'opt.{self.names[0]}.step'][1])
        print(f'ok    {self.network}, {self.form}, step {step:.0f}: fastcpp -> Python, {tensors} tensors of the model and '
              f'the Adam state of {states} parameters, bit for bit')

    def save(self, name):
        os.makedirs(self.path('models'), exist_ok=True)
        if self.form == 'safetensors':
            tensors = {'model.' + key: value for key, value in self.model.state_dict().items()}
            for index, state in self.opt.state_dict()['state'].items():
                tensors |= {f'opt.{index}.{key}': value for key, value in state.items()}
            save_safetensors(self.path(name + '.safetensors'), tensors)
        else:
            torch.save({'model': self.model.state_dict(), 'opt': self.opt.state_dict()}, self.pth(name),
                       _use_new_zipfile_serialization=self.form == 'zip')
            if zipfile.is_zipfile(self.pth(name)) != (self.form == 'zip'):
                fail(f'{name}.pth is not in the format {self.form}')
        write_raw(self.path(name + '.raw'), self.everything())

    def train(self, first, count):
        self.model.train()
        for step in range(first, first + count):
            loss = nn.functional.cross_entropy(self.model(self.batches['x'][step]), self.batches['y'][step])
            loss.backward()
            with torch.no_grad():  # fastai decays the weights itself, before Adam
                for group in self.opt.param_groups:
                    for parameter in group['params']:
                        parameter.mul_(1 - group['lr'] * WD)
            self.opt.step()
            self.opt.zero_grad()


def compare(folder, network, form):
    theirs = Training(folder, network, form).load('end')
    mine = Training(folder, network, form)
    initial = load_safetensors(mine.path('initial.safetensors'))
    mine.model.load_state_dict(initial, strict=True)
    mine.train(0, 3 * STEPS)
    largest, moved = 0, 0
    for name, value in mine.model.state_dict().items():
        other = theirs.model.state_dict()[name]
        largest = max(largest, (value - other).abs().max().item())
        moved = max(moved, (value - initial[name]).abs().max().item() if name.endswith('weight') else 0)
        if not torch.allclose(value, other, rtol=TOLERANCE[network], atol=TOLERANCE[network]):
            fail(f'{name}: trained by turns and by Python alone differ by {(value - other).abs().max().item():.2g}')
    if moved < LR[1]:
        fail(f'the training moved nothing: {moved:.2g}')
    print(f'ok    {network}, {form}: trained by turns and by Python alone differ by {largest:.1g} at most')


def main():
    stage, folder, network, form = sys.argv[1:]
    torch.set_num_threads(1)
    if stage == 'middle':
        training = Training(folder, network, form)
        training.load('start')
        training.train(STEPS, STEPS)
        training.save('middle')
    else:
        compare(folder, network, form)


if __name__ == '__main__':
    main()
