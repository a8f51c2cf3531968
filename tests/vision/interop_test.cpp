// Whole models travel between fastcpp and Python's torch and torchvision.
#include <torch/utils.h>

#include "fastcpp/io/checkpoint.hpp"
#include "fastcpp/vision/cnn_learner.hpp"
#include "support/catch.hpp"
#include "support/python.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

TEST_CASE("torchvision's resnet34 takes fastcpp's weights and gives the same logits") {
  if (!python_has("torch, torchvision")) return skip("no Python with torch and torchvision");
  TempDir dir;
  const auto network = models::resnet34.build({.seed = 5});
  network->eval();
  torch::NoGradGuard no_grad;
  const auto x = torch::randn({2, 3, 96, 96});
  auto file = Value::dict();
  file.set("model", to_value(state_dict(*network)));
  file.set("x", x);
  file.set("logits", network->forward(x.clone()));
  save_checkpoint(dir / "whole.pth", file);
  run_python(dir, R"(
import torch, torchvision
saved = torch.load('whole.pth')
model = torchvision.models.resnet34()
model.load_state_dict(saved['model'], strict=True)
model.eval()
with torch.no_grad(): difference = (model(saved['x']) - saved['logits']).abs().max().item()
print('largest difference', difference)
assert difference < 1e-4
torch.save(model.state_dict(), 'back.pth')
torch.save(model.state_dict(), 'legacy.pth', _use_new_zipfile_serialization=False)
)");
  // And back, in both of PyTorch's formats, bit by bit.
  for (const char* name : {"back.pth", "legacy.pth"}) {
    const auto other = models::resnet34.build({.seed = 6});
    load_state_dict(*other, load_weights(dir / name));
    for (const auto& [key, value] : state_dict(*network)) {
      REQUIRE(torch::equal(value, state_dict(*other).at(key)));
    }
  }
}

TEST_CASE("torch.load reads stage-1 with fastai's keys") {
  if (!python_has("torch")) return skip("no Python with torch");
  TempDir dir;
  auto set = std::make_shared<TensorDataset>(torch::randn({8, 3, 32, 32}), torch::arange(8) % 2);
  auto data =
      DataBunch::create({set, set, nullptr, nullptr}, dir.path(),
                        {.bs = 4, .num_workers = 0, .device = torch::kCPU, .classes = {"a", "b"}});
  auto learn = cnn_learner(data, models::resnet18, {.pretrained = false, .silent = true});
  learn.freeze();
  learn.fit_one_cycle(1);
  learn.save("stage-1");
  const auto printed = run_python(dir, R"(
import torch
saved = torch.load('models/stage-1.pth')
assert list(saved) == ['model', 'opt'], list(saved)
model, opt = saved['model'], saved['opt']
assert type(model).__name__ == 'OrderedDict'
for key in ('0.0.weight', '0.1.running_mean', '0.4.0.conv1.weight', '0.5.0.downsample.0.weight', '1.2.weight',
            '1.4.weight', '1.8.bias'):
    assert key in model, key
assert sorted(opt) == ['param_groups', 'state'], list(opt)
groups = opt['param_groups']
assert [len(g['params']) for g in groups] == [0, 20, 0, 20, 2, 6]
assert groups[-1]['betas'][1] == 0.99
indices = [i for g in groups for i in g['params']]
assert sorted(opt['state']) == indices
# PyTorch's own optimizer takes the state over.
parameters = [torch.nn.Parameter(torch.zeros_like(opt['state'][i]['exp_avg'])) for i in indices]
rest = iter(parameters)
adam = torch.optim.Adam([{'params': [next(rest) for _ in g['params']]} for g in groups])
adam.load_state_dict(opt)
for p in parameters: p.grad = torch.ones_like(p)
adam.step()
print(len(model), 'entries')
)");
  // The specification counts 134 entries for 37 classes; the number of classes does not change it.
  CHECK(printed.find("134 entries") != std::string::npos);
}
