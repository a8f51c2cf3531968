// fastcpp's half of scripts/python-interop: the first two and the last two of six training steps;
// Python does the two between. What is handed over is also written as plain bytes (`*.raw`), past
// the code under test.
#include <fmt/format.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/pooling.h>
#include <torch/utils.h>

#include <fstream>
#include <iostream>
#include <map>
#include <numbers>

#include "fastcpp/core/error.hpp"
#include "fastcpp/io/checkpoint.hpp"
#include "fastcpp/io/safetensors.hpp"
#include "fastcpp/train/learner.hpp"
#include "fastcpp/vision/cnn_learner.hpp"

using namespace fastcpp;

namespace {

constexpr std::int64_t kBatch = 8, kSteps = 2, kRounds = 3, kSide = 32;
// Known to python_interop.py as well.
const auto kLr = slice(1e-4, 1e-3);
constexpr double kWd = 0.5;              // so large that a step without it shows
const auto kAdam = adam({.eps = 1e-5});  // not 1e-8, so that rounding cannot make full steps

// Stripes with noise: class 0 lies, class 1 stands.
std::pair<torch::Tensor, torch::Tensor> draw() {
  const auto n = kBatch * kSteps * kRounds;
  auto x = torch::empty({n, 3, kSide, kSide});
  auto at = x.accessor<float, 4>();
  for (std::int64_t i = 0; i < n; ++i) {
    Rng rng{7, static_cast<std::uint64_t>(i)};
    const double pace = 2 * std::numbers::pi / rng.uniform(4, 12), phase = rng.uniform(0, 6);
    for (int c = 0; c < 3; ++c) {
      for (int row = 0; row < kSide; ++row) {
        for (int col = 0; col < kSide; ++col) {
          const double stripes = std::sin(pace * (i % 2 == 0 ? row : col) + phase + c);
          at[i][c][row][col] = static_cast<float>(stripes + rng.uniform(-0.5, 0.5));
        }
      }
    }
  }
  return {x, torch::arange(n) % 2};
}

DataBunch round_data(const Path& folder, std::int64_t round) {
  const auto [x, y] = draw();
  const auto first = round * kBatch * kSteps, last = first + kBatch * kSteps;
  auto set = std::make_shared<TensorDataset>(x.slice(0, first, last), y.slice(0, first, last));
  return DataBunch::create({.train = set, .valid = set, .fix = nullptr, .test = nullptr}, folder,
                           {.bs = kBatch,
                            .num_workers = 0,
                            .device = torch::kCPU,
                            .classes = {"lying", "standing"},
                            .shuffle = false});
}

Learner make_learner(const std::string& network, const DataBunch& data, std::uint64_t seed) {
  if (network == "resnet18") {
    // The first stage of the lesson, without dropout: Python would draw other masks.
    auto learn = cnn_learner(data, models::resnet18,
                             {.pretrained = false,
                              .ps = {0.0},
                              .opt_func = kAdam,
                              .wd = kWd,
                              .silent = true,
                              .seed = seed});
    learn.freeze();
    return learn;
  }
  namespace nn = torch::nn;
  torch::manual_seed(seed);
  nn::Sequential small(
      nn::Conv2d(nn::Conv2dOptions(3, 8, 3).padding(1).bias(false)), nn::BatchNorm2d(8), nn::ReLU(),
      nn::Conv2d(nn::Conv2dOptions(8, 16, 3).stride(2).padding(1).bias(false)), nn::BatchNorm2d(16),
      nn::ReLU(), nn::AdaptiveAvgPool2d(1), nn::Flatten(), nn::Linear(16, 2));
  Learner learn(data, small, {.opt_func = kAdam, .wd = kWd, .silent = true});
  learn.split({small->ptr(8)});
  return learn;
}

using Named = std::map<std::string, torch::Tensor>;

Named everything(const Learner& learn) {
  Named all;
  for (const auto& item : learn.model()->named_parameters()) {
    all["model." + item.key()] = item.value().detach();
  }
  for (const auto& item : learn.model()->named_buffers()) all["model." + item.key()] = item.value();
  for (const auto& group : learn.opt().groups()) {
    for (std::size_t i = 0; i < group.params.size(); ++i) {
      const auto prefix = "opt." + group.names[i] + ".";
      all[prefix + "step"] = torch::tensor(static_cast<float>(group.states[i].step));
      for (const auto& [name, tensor] : group.states[i].buffers) all[prefix + name] = tensor;
    }
  }
  return all;
}

// A record: `name type bytes`, a line's end, the bytes.
void write_raw(const Path& file, const Named& all) {
  std::ofstream out(file, std::ios::binary);
  for (const auto& [name, tensor] : all) {
    const auto t = tensor.contiguous();
    const bool whole = t.scalar_type() == torch::kInt64;
    if (!whole && t.scalar_type() != torch::kFloat32) throw std::runtime_error(name + ": type");
    out << fmt::format("{} {} {}\n", name, whole ? "int64" : "float32", t.nbytes());
    out.write(static_cast<const char*>(t.data_ptr()), static_cast<std::streamsize>(t.nbytes()));
  }
  if (!out.flush()) throw std::runtime_error("cannot write " + file.string());
}

std::map<std::string, std::string> read_raw(const Path& file) {
  std::ifstream in(file, std::ios::binary);
  std::map<std::string, std::string> all;
  std::string name, type;
  for (std::size_t bytes = 0; in >> name >> type >> bytes;) {
    in.get();
    std::string content(bytes, '\0');
    if (!in.read(content.data(), static_cast<std::streamsize>(bytes))) break;
    all[name] = type + content;
  }
  if (all.empty() || !in.eof()) throw std::runtime_error("cannot read " + file.string());
  return all;
}

// Tensors only, for safetensors: `model.` and its names, `opt.`, PyTorch's index and the buffer.
StateDict flat(const Learner& learn) {
  StateDict all;
  for (const auto& [name, tensor] : state_dict(*learn.model())) all.insert("model." + name, tensor);
  const auto opt = learn.opt().state_dict();
  for (const auto& [index, state] : opt.at("state").entries()) {
    for (const auto& [name, tensor] : state.entries()) {
      all.insert(fmt::format("opt.{}.{}", index.as_int(), name.as_string()), tensor.as_tensor());
    }
  }
  return all;
}

void load_flat(Learner learn, const StateDict& all) {
  StateDict weights;
  std::map<std::int64_t, Value> states;
  for (const auto& [name, tensor] : all) {
    if (name.starts_with("model.")) {
      weights.insert(name.substr(6), tensor);
    } else {
      const auto dot = name.find('.', 4);
      auto& state =
          states.try_emplace(std::stoll(name.substr(4, dot - 4)), Value::dict()).first->second;
      state.set(name.substr(dot + 1), tensor);
    }
  }
  load_state_dict(*learn.model(), weights);
  auto state = Value::dict();
  for (const auto& [index, value] : states) state.set(index, value);
  auto opt = learn.opt().state_dict();
  opt.set("state", state);
  if (!learn.opt().load_state_dict(opt)) throw std::runtime_error("the optimizer's state differs");
}

void save_all(const Learner& learn, const Path& folder, const std::string& name,
              const std::string& format) {
  if (format == "safetensors") {
    save_safetensors(folder / (name + ".safetensors"), flat(learn), {{"format", "pt"}});
  } else {
    learn.save(name);
  }
  write_raw(folder / (name + ".raw"), everything(learn));
}

void train(Learner& learn, const Path& folder, std::int64_t round) {
  learn.set_data(round_data(folder, round));
  learn.fit(1, kLr);
}

void start(const Path& folder, const std::string& network, const std::string& format) {
  auto learn = make_learner(network, round_data(folder, 0), 1);
  StateDict batches;
  const auto [x, y] = draw();
  batches.insert("x", x.reshape({-1, kBatch, 3, kSide, kSide}));
  batches.insert("y", y.reshape({-1, kBatch}));
  save_safetensors(folder / "batches.safetensors", batches);
  save_safetensors(folder / "initial.safetensors", state_dict(*learn.model()));
  train(learn, folder, 0);
  save_all(learn, folder, "start", format);
}

void finish(const Path& folder, const std::string& network, const std::string& format) {
  // Other initial weights: what is not loaded shows.
  auto learn = make_learner(network, round_data(folder, 2), 99);
  if (format == "safetensors") {
    load_flat(learn, load_safetensors(folder / "middle.safetensors"));
  } else {
    learn.load("middle");
  }
  write_raw(folder / "loaded.raw", everything(learn));
  const auto mine = read_raw(folder / "loaded.raw"), theirs = read_raw(folder / "middle.raw");
  std::size_t tensors = 0, steps = 0;
  for (const auto& [name, content] : theirs) {
    const auto found = mine.find(name);
    if (found == mine.end()) throw std::runtime_error("fastcpp did not load " + name);
    if (found->second != content) throw std::runtime_error("fastcpp has other bits in " + name);
    if (name.starts_with("model.")) ++tensors;
    if (name.ends_with(".step")) ++steps;
  }
  if (mine.size() != theirs.size()) throw std::runtime_error("fastcpp has tensors of its own");
  for (const auto& group : learn.opt().groups()) {
    for (const auto& state : group.states) {
      if (state.step != 2 * kSteps) throw std::runtime_error("Adam's step is not the fourth");
    }
  }
  for (double beta : learn.opt().beta()) {
    if (beta != 0.99) throw std::runtime_error("Adam's beta2 is another");
  }
  fmt::print(
      "ok    {}, {}, step 4: Python -> fastcpp, {} tensors of the model and the Adam state of {} "
      "parameters, bit for bit\n",
      network, format, tensors, steps);
  train(learn, folder, 2);
  save_all(learn, folder, "end", format);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    if (arguments.size() != 4) {
      std::cerr
          << "usage: interop_training start|finish FOLDER small|resnet18 zip|legacy|safetensors\n";
      return 2;
    }
    torch::set_num_threads(1);
    const auto stage = arguments[0] == "start" ? start : finish;
    stage(arguments[1], arguments[2], arguments[3]);
    return 0;
  } catch (const std::exception& e) {
    std::cerr << "interop_training: " << e.what() << '\n';
    return 1;
  }
}
