#include "fastcpp/io/checkpoint.hpp"

#include <torch/types.h>

#include <cstdlib>
#include <limits>

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/path.hpp"
#include "io/file_access.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;

namespace {

bool identical(const torch::Tensor& a, const torch::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() && a.equal(b);
}

Value learner_layout() {
  StateDict model;
  model.insert("0.weight", torch::arange(12, torch::kFloat32).reshape({4, 3}));
  model.insert("1.num_batches_tracked", torch::tensor(std::int64_t{7}));
  Value state = Value::dict();
  state.set(0, Value::dict({{"step", 3},
                            {"exp_avg", torch::full({4, 3}, 0.5)},
                            {"exp_avg_sq", torch::ones({4, 3})}}));
  const Value group = Value::dict({{"lr", 1e-3},
                                   {"betas", Value::tuple({0.9, 0.99})},
                                   {"amsgrad", false},
                                   {"foreach", nullptr},
                                   {"params", Value::list({0})}});
  return Value::dict(
      {{"model", to_value(model)},
       {"opt", Value::dict({{"state", state}, {"param_groups", Value::list({group})}})}});
}

}  // namespace

TEST_CASE("save_checkpoint and load_checkpoint keep the learner layout") {
  test::TempDir dir;
  save_checkpoint(dir / "a" / "learner.pth", learner_layout());
  const Value back = load_checkpoint(dir / "a" / "learner.pth");
  CHECK(back.to_string(5000) == learner_layout().to_string(5000));
  CHECK(back.at("model").is_ordered_dict());
  CHECK_FALSE(back.is_ordered_dict());
  const Value& opt = back.at("opt");
  CHECK(opt.at("state").at(0).at("step").as_int() == 3);
  CHECK(identical(opt.at("state").at(0).at("exp_avg").as_tensor(), torch::full({4, 3}, 0.5)));
  CHECK(opt.at("param_groups").items()[0].at("lr").as_double() == 1e-3);
  CHECK(opt.at("param_groups").items()[0].at("betas").is_tuple());

  const StateDict weights = load_weights(dir / "a" / "learner.pth");
  REQUIRE(weights.size() == 2);
  CHECK(identical(weights.at("0.weight"), torch::arange(12, torch::kFloat32).reshape({4, 3})));
  CHECK(weights.at("1.num_batches_tracked").item<std::int64_t>() == 7);
  // Nothing but the file is left.
  CHECK(ls(dir / "a").size() == 1);
}

TEST_CASE("load_weights finds the state dict in what training scripts save") {
  test::TempDir dir;
  const Path file = dir / "w.pth";
  StateDict model;
  model.insert("module.weight", torch::ones({2, 3}));
  const auto names = [&](const Value& root) {
    save_checkpoint(file, root);
    std::vector<std::string> found;
    for (const auto& [name, tensor] : load_weights(file)) found.push_back(name);
    return found;
  };
  const std::vector<std::string> expected{"module.weight"};
  const Value optimizer = Value::dict({{"state", Value::dict()}, {"lr", 0.1}});
  CHECK(names(Value::dict({{"model", to_value(model)}})) == expected);
  CHECK(names(Value::dict({{"model", to_value(model)}, {"epoch", 3}})) == expected);
  CHECK(names(Value::dict({{"epoch", 3},
                           {"arch", "resnet18"},
                           {"state_dict", to_value(model)},
                           {"optimizer", optimizer}})) == expected);
  CHECK(names(Value::dict({{"model_state_dict", to_value(model)}, {"loss", 0.5}})) == expected);
  CHECK(names(Value::dict({{"net", to_value(model)}, {"acc", 94.1}})) == expected);
  // A parameter may have such a name.
  CHECK(names(Value::dict({{"model", torch::ones({1})}, {"net", torch::ones({1})}})) ==
        std::vector<std::string>{"model", "net"});
  const auto error = [&](const Value& root) {
    save_checkpoint(file, root);
    return test::caught([&] { load_weights(file); });
  };
  CHECK(error(Value::dict({{"weights", to_value(model)}})).code == "pickle.not_a_state_dict");
  CHECK(error(Value::dict({{"model", Value::dict({{"epoch", 3}})}})).code ==
        "pickle.not_a_state_dict");
}

TEST_CASE("every kind of value survives the file") {
  test::TempDir dir;
  const Value root = Value::dict({{"none", nullptr},
                                  {"yes", true},
                                  {"no", false},
                                  {"small", 5},
                                  {"byte", 255},
                                  {"negative", -1},
                                  {"medium", 70000},
                                  {"large", std::int64_t{1} << 40},
                                  {"lowest", std::numeric_limits<std::int64_t>::min()},
                                  {"huge", Value::big_int("1180591620717411303424")},
                                  {"less", Value::big_int("-1180591620717411303424")},
                                  {"pi", 3.141592653589793},
                                  {"inf", std::numeric_limits<double>::infinity()},
                                  {"text", "caf\xc3\xa9"},
                                  {"", "empty"},
                                  {"bytes", Value::bytes(std::string("\0\xff", 2))},
                                  {"list", Value::list({1, Value::list(), "x"})},
                                  {"tuple", Value::tuple({Value::tuple(), 2})},
                                  {"slice", Value::slice(nullptr, 3e-3)},
                                  {3, "int key"},
                                  {2.5, "float key"}});
  save_checkpoint(dir / "values.pth", root);
  const Value back = load_checkpoint(dir / "values.pth");
  CHECK(back.to_string(5000) == root.to_string(5000));
  CHECK(back.at("huge").kind() == Value::Kind::kBigInt);
  CHECK(back.at("bytes").as_bytes() == std::string("\0\xff", 2));
  CHECK(back.at("slice").items()[1].as_double() == 3e-3);
}

TEST_CASE("every element type survives the file") {
  test::TempDir dir;
  StateDict weights;
  const auto base = torch::tensor({-2.0, -0.0, 0.5, 1.0, 100.0});
  for (auto dtype : {torch::kFloat64, torch::kFloat32, torch::kFloat16, torch::kBFloat16,
                     torch::kInt64, torch::kInt32, torch::kInt16, torch::kInt8, torch::kBool,
                     torch::kComplexFloat, torch::kComplexDouble}) {
    weights.insert(torch::toString(dtype), base.to(dtype));
  }
  weights.insert("byte", base.abs().to(torch::kUInt8));
  weights.insert("scalar", torch::tensor(2.5));
  weights.insert("empty", torch::empty({0, 3}));
  save_checkpoint(dir / "types.pth", to_value(weights));
  const StateDict back = load_weights(dir / "types.pth");
  REQUIRE(back.size() == weights.size());
  for (const auto& [name, tensor] : weights) {
    INFO(name);
    CHECK(identical(back.at(name), tensor));
  }
}

TEST_CASE("views share one stored storage and share it again after loading") {
  test::TempDir dir;
  const auto base = torch::arange(100000, torch::kFloat32).reshape({100, 1000});
  StateDict weights;
  weights.insert("base", base);
  weights.insert("again", base);
  weights.insert("transposed", base.t());
  weights.insert("piece", base.slice(0, 10, 20).slice(1, 0, 1000, 3));
  weights.insert("expanded", base.slice(1, 0, 1).expand({100, 7}));
  save_checkpoint(dir / "views.pth", to_value(weights));
  CHECK(std::filesystem::file_size(dir / "views.pth") < 450000);
  const StateDict back = load_weights(dir / "views.pth");
  for (const auto& [name, tensor] : weights) {
    INFO(name);
    CHECK(identical(back.at(name), tensor));
    CHECK(back.at(name).strides() == tensor.strides());
    CHECK(back.at(name).storage().data() == back.at("base").storage().data());
  }
  back.at("base").fill_(1);
  CHECK(back.at("piece").eq(1).all().item<bool>());
}

TEST_CASE("requires_grad is kept by load_checkpoint and dropped by load_weights") {
  test::TempDir dir;
  StateDict weights;
  weights.insert("w", torch::ones({2}).requires_grad_());
  save_checkpoint(dir / "grad.pth", to_value(weights));
  CHECK(load_checkpoint(dir / "grad.pth").at("w").as_tensor().requires_grad());
  CHECK_FALSE(load_weights(dir / "grad.pth").at("w").requires_grad());
}

TEST_CASE("equal values make equal files") {
  test::TempDir dir;
  save_checkpoint(dir / "1.pth", learner_layout());
  save_checkpoint(dir / "2.pth", learner_layout());
  CHECK(read_file(dir / "1.pth") == read_file(dir / "2.pth"));
}

TEST_CASE("what cannot be saved is refused and leaves the old file") {
  test::TempDir dir;
  save_checkpoint(dir / "w.pth", Value::dict({{"a", 1}}));
  const std::string before = read_file(dir / "w.pth");
  const auto sparse = torch::ones({2, 2}).to_sparse();
  CHECK(test::caught([&] {
          save_checkpoint(dir / "w.pth", Value::dict({{"s", sparse}}));
        }).code == "value.dtype");
  CHECK(read_file(dir / "w.pth") == before);
  CHECK(ls(dir.path()).size() == 1);
  write_file(dir / "file", "x");
  CHECK(test::caught([&] { save_checkpoint(dir / "file" / "w.pth", Value()); }).code ==
        "io.cannot_create");
}

TEST_CASE("to_state_dict wants names and tensors") {
  CHECK(to_state_dict(Value::dict()).empty());
  const auto code = [](const Value& value) {
    return test::caught([&] { to_state_dict(value); }).code;
  };
  CHECK(code(Value::list()) == "pickle.not_a_state_dict");
  CHECK(code(Value::dict({{"epoch", 3}})) == "pickle.not_a_state_dict");
  CHECK(code(Value::dict({{0, torch::ones({1})}})) == "pickle.not_a_state_dict");
}

TEST_CASE("a container that is shared many times costs little") {
  test::TempDir dir;
  Value value = Value::list({1});
  for (int i = 0; i < 60; ++i) value = Value::list({value, value});
  save_checkpoint(dir / "shared.pth", value);
  CHECK(std::filesystem::file_size(dir / "shared.pth") < 4000);
  CHECK(load_checkpoint(dir / "shared.pth").to_string(50).size() <= 53);
}

TEST_CASE("the checksum of zip entries is the same on every way to it") {
  const std::string digits = "123456789";
  CHECK(io::crc32(digits.data(), digits.size()) == 0xCBF43926u);
  std::string bytes(5300, '\0');
  std::uint32_t state = 1;
  for (auto& byte : bytes) byte = static_cast<char>((state = state * 1664525u + 1013904223u) >> 24);
  for (std::size_t count = 0; count < 1200; count += 7) {
    const auto* from = bytes.data() + count % 5;
    REQUIRE(io::crc32(from, count) == io::crc32_by_tables(from, count));
    // In pieces, as files are read.
    const auto first = io::crc32(bytes.data(), 1000 + count);
    REQUIRE(io::crc32(bytes.data() + 1000 + count, 3000, first) ==
            io::crc32_by_tables(bytes.data(), 4000 + count));
  }
}
