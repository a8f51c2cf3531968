#include "train/golden_model.hpp"

#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include <charconv>
#include <stdexcept>

#include "fastcpp/io/state_dict.hpp"

namespace fastcpp::test {

LearningRate learning_rate(const Json& value) {
  const auto kind = value.at("kind").get<std::string>();
  if (kind == "scalar") return number(value.at("value"));
  if (kind == "list") return numbers(value.at("values"));
  if (value.at("start").is_null()) return slice(number(value.at("stop")));
  return slice(number(value.at("start")), number(value.at("stop")));
}

torch::Tensor ConcatPoolImpl::forward(const torch::Tensor& x) {
  return torch::cat({x.amax({2, 3}), x.mean({2, 3})}, 1);
}

namespace {

std::shared_ptr<TensorDataset> golden_set(const Json& data, const std::string& part,
                                          torch::ScalarType dtype) {
  const auto n = data.at("n_" + part).get<std::int64_t>(),
             side = data.at("side").get<std::int64_t>();
  const auto key_x = data.at("x_" + part + "_key").get<std::string>();
  const auto key_y = data.at("y_" + part + "_key").get<std::string>();
  const auto channels = data.value("channels", std::int64_t{3});
  auto x = torch::empty({n, channels, side, side});
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    x.data_ptr<float>()[i] = static_cast<float>(2 * sgn(key_x, static_cast<std::uint64_t>(i)));
  }
  auto y = torch::empty({n}, torch::kLong);
  for (std::int64_t i = 0; i < n; ++i) {
    y[i] = ints(key_y, data.at("classes").get<std::int64_t>(), static_cast<std::uint64_t>(i));
  }
  return std::make_shared<TensorDataset>(x.to(dtype), y);
}

// The leading whole numbers in the brackets of a layer that the file writes as Python does.
std::vector<std::int64_t> arguments(const Json& layer, const std::string& start) {
  const auto text = layer.get<std::string>();
  if (!text.starts_with(start))
    throw std::runtime_error("another layer than " + start + ": " + text);
  std::vector<std::int64_t> numbers;
  const char *at = text.data() + start.size(), *end = text.data() + text.size();
  for (std::int64_t value; at < end;) {
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc()) break;
    numbers.push_back(value);
    at = next + std::min<std::ptrdiff_t>(2, end - next);  // ", "
  }
  return numbers;
}

}  // namespace

DataBunch golden_data(const Json& data, torch::ScalarType dtype) {
  const auto bs = data.at("bs").get<std::int64_t>();
  return DataBunch::create(
      {golden_set(data, "train", dtype), golden_set(data, "valid", dtype), nullptr, nullptr}, ".",
      {.bs = bs, .num_workers = 0, .device = torch::kCPU, .shuffle = false});
}

torch::nn::Sequential golden_network(const Json& model, bool conv_bias, torch::ScalarType dtype) {
  namespace nn = torch::nn;
  const auto& layers = model.at("layers");
  const auto conv = arguments(layers.at(0), "Conv2d(");
  const auto linear = arguments(layers.at(5), "Linear(");
  const auto maps = conv.at(1);
  nn::Sequential network(
      nn::Conv2d(
          nn::Conv2dOptions(conv.at(0), maps, conv.at(2)).padding(conv.at(2) / 2).bias(conv_bias)),
      nn::BatchNorm2d(maps), nn::ReLU(), ConcatPool(), nn::Flatten(),
      nn::Linear(linear.at(0), linear.at(1)));
  torch::NoGradGuard no_grad;
  const auto key = model.at("weights_key").get<std::string>();
  const auto gain = number(model.at("bn_gain"));
  for (const auto& [name, tensor] : state_dict(*network)) {
    if (name.ends_with("num_batches_tracked")) continue;
    const auto fan_in = static_cast<double>(tensor.numel() / tensor.size(0));
    for (std::int64_t i = 0; i < tensor.numel(); ++i) {
      const double v = sgn(key + "/" + name, static_cast<std::uint64_t>(i));
      double value;
      if (name.ends_with("running_mean") || name.ends_with("bias")) {
        value = 0.125 * v;
      } else if (name.ends_with("running_var")) {
        value = 1 + 0.25 * v;
      } else if (tensor.dim() == 1) {
        value = gain * (1 + 0.25 * v);
      } else {
        value = std::sqrt(6 / fan_in) * v;
      }
      tensor.data_ptr<float>()[i] = static_cast<float>(value);
    }
  }
  network->to(dtype);
  return network;
}

}  // namespace fastcpp::test
