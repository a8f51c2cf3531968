// Files travel between fastcpp and Python's PyTorch. Skipped where Python has no torch.
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include "fastcpp/core/path.hpp"
#include "fastcpp/io/checkpoint.hpp"
#include "support/catch.hpp"
#include "support/python.hpp"
#include "support/support.hpp"

using namespace fastcpp;

TEST_CASE("torch.load reads what save_checkpoint wrote") {
  if (!test::python_has("torch")) return test::skip("no Python with torch");
  test::TempDir dir;
  StateDict model;
  model.insert("0.weight", torch::arange(12, torch::kFloat32).reshape({4, 3}) / 7);
  model.insert("0.view", model.at("0.weight").t());
  model.insert("1.num_batches_tracked", torch::tensor(std::int64_t{7}));
  for (auto dtype : {torch::kFloat64, torch::kFloat16, torch::kBFloat16, torch::kInt64,
                     torch::kInt32, torch::kInt16, torch::kInt8, torch::kUInt8, torch::kBool}) {
    model.insert(std::string("t.") + torch::toString(dtype),
                 torch::arange(5, torch::kFloat32).to(dtype));
  }
  model.insert("empty", torch::empty({0, 2}));
  save_checkpoint(dir / "weights.pth", to_value(model));
  Value state = Value::dict();
  state.set(0, Value::dict({{"step", 3},
                            {"exp_avg", torch::full({4, 3}, 0.5)},
                            {"exp_avg_sq", torch::ones({4, 3})}}));
  const Value group = Value::dict({{"lr", 1e-3},
                                   {"betas", Value::tuple({0.9, 0.99})},
                                   {"weight_decay", 0},
                                   {"amsgrad", false},
                                   {"foreach", nullptr},
                                   {"params", Value::list({0, 1})}});
  save_checkpoint(
      dir / "learner.pth",
      Value::dict(
          {{"model", to_value(model)},
           {"opt", Value::dict({{"state", state}, {"param_groups", Value::list({group})}})}}));
  save_checkpoint(dir / "values.pth",
                  Value::dict({{"slice", Value::slice(nullptr, 0.003)},
                               {"bytes", Value::bytes("ab")},
                               {"huge", Value::big_int("1180591620717411303424")},
                               {"large", std::int64_t{1} << 40},
                               {"negative", -5}}));
  test::run_python(dir, R"(
import collections, inspect, torch
def check(model):
    assert type(model) is collections.OrderedDict, type(model)
    w = model['0.weight']
    assert torch.equal(w, torch.arange(12, dtype=torch.float32).reshape(4, 3) / 7)
    assert torch.equal(model['0.view'], w.t())
    assert model['0.view'].data_ptr() == w.data_ptr()
    assert model['1.num_batches_tracked'].item() == 7 and model['1.num_batches_tracked'].shape == ()
    names = dict(Double=torch.float64, Half=torch.float16, BFloat16=torch.bfloat16, Long=torch.int64, Int=torch.int32,
                 Short=torch.int16, Char=torch.int8, Byte=torch.uint8, Bool=torch.bool)
    for name, dtype in names.items():
        t = model['t.' + name]
        assert t.dtype == dtype and torch.equal(t, torch.arange(5, dtype=torch.float32).to(dtype)), name
    assert model['empty'].shape == (0, 2)
check(torch.load('weights.pth'))
if 'weights_only' in inspect.signature(torch.load).parameters:
    check(torch.load('weights.pth', weights_only=True))
d = torch.load('learner.pth')
assert list(d) == ['model', 'opt'], list(d)
check(d['model'])
state = d['opt']['state']
assert list(state) == [0] and state[0]['step'] == 3 and torch.equal(state[0]['exp_avg'], torch.full((4, 3), .5))
group = d['opt']['param_groups'][0]
assert group == dict(lr=1e-3, betas=(.9, .99), weight_decay=0, amsgrad=False, foreach=None, params=[0, 1]), group
v = torch.load('values.pth') if 'weights_only' not in inspect.signature(torch.load).parameters else torch.load('values.pth', weights_only=False)
assert v == dict(slice=slice(None, .003), bytes=b'ab', huge=2**70, large=2**40, negative=-5), v
)");
}

TEST_CASE("load_weights reads what torch.save wrote") {
  if (!test::python_has("torch")) return test::skip("no Python with torch");
  test::TempDir dir;
  test::run_python(dir, R"(
import torch
net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, bias=False), torch.nn.BatchNorm2d(8), torch.nn.Linear(8, 4))
with torch.no_grad():
    for i, p in enumerate(net.parameters()):
        p.copy_(torch.arange(p.numel(), dtype=torch.float32).reshape(p.shape) / (i + 3))
torch.save(net.state_dict(), 'zip.pth')
torch.save(net.state_dict(), 'legacy.pth', _use_new_zipfile_serialization=False)
torch.save(net.state_dict(), 'protocol4.pth', pickle_protocol=4)
torch.save(net.state_dict(), 'protocol0.pth', _use_new_zipfile_serialization=False, pickle_protocol=1)
torch.save(net.state_dict(), 'text.pth', _use_new_zipfile_serialization=False, pickle_protocol=0)
torch.save(net.state_dict(), 'textzip.pth', pickle_protocol=0)
class Items(list):
    pass
class Hypers:
    def __init__(self): self.items = Items([1, 2])
import collections
for protocol in (1, 2, 4):
    part = {'hypers': [Hypers()], 'counts': collections.Counter('aab'), 'seen': {1, 2}, 'at': {(0, 1): 2},
            'state': collections.defaultdict(dict, {0: {'grad_avg': torch.ones(2)}})}
    torch.save({'model': net.state_dict(), 'opt': part}, f'learner{protocol}.pth', pickle_protocol=protocol)
torch.save({'state_dict': torch.nn.DataParallel(net).state_dict(), 'epoch': 3}, 'script.pth')
torch.save({'model': net, 'x': 1}, 'module.pth')
)");
  for (const char* name : {"zip.pth", "legacy.pth", "protocol4.pth", "protocol0.pth", "text.pth",
                           "textzip.pth", "learner1.pth", "learner2.pth", "learner4.pth"}) {
    INFO(name);
    torch::nn::Sequential net(torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 8, 3).bias(false)),
                              torch::nn::BatchNorm2d(8), torch::nn::Linear(8, 4));
    CHECK(load_state_dict(*net, load_weights(dir / name)).ok());
    int i = 3;
    for (const auto& parameter : net->parameters()) {
      CHECK(parameter.flatten().equal(torch::arange(parameter.numel(), torch::kFloat32) / i++));
    }
  }
  CHECK(load_weights(dir / "script.pth").contains("module.0.weight"));
  CHECK(test::caught([&] { load_checkpoint(dir / "learner2.pth"); }).code ==
        "pickle.unsupported_global");
  CHECK(test::caught([&] { load_weights(dir / "module.pth"); }).code ==
        "pickle.unsupported_global");
  CHECK(test::caught([&] { load_checkpoint(dir / "module.pth"); }).code ==
        "pickle.unsupported_global");
}
