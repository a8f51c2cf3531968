#include "fastcpp/io/safetensors.hpp"

#include <torch/types.h>

#include <cstring>
#include <filesystem>

#include <sys/resource.h>

#include "fastcpp/core/error.hpp"
#include "fastcpp/io/checkpoint.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/golden.hpp"
#include "support/support.hpp"

using namespace fastcpp;

// The values of the golden files are checked with the other formats in checkpoint_golden_test.cpp.

namespace {

StateDict some_weights() {
  StateDict weights;
  weights.insert("flag", torch::tensor({true, false, true}));
  weights.insert("half", torch::tensor({1.5, -2.0}).to(torch::kFloat16));
  weights.insert("double", torch::tensor({0.1}, torch::kFloat64));
  weights.insert("scalar", torch::tensor(std::int64_t{42}));
  weights.insert("empty", torch::empty({0, 2}));
  weights.insert("name with \"quotes\" and caf\xc3\xa9",
                 torch::arange(6, torch::kInt16).reshape({2, 3}).t());
  return weights;
}

std::string container(const std::string& header, const std::string& data) {
  const std::uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + data;
}

}  // namespace

TEST_CASE("safetensors written is read again, in order") {
  test::TempDir dir;
  const StateDict weights = some_weights();
  save_safetensors(dir / "w.safetensors", weights, {{"format", "pt"}});
  const StateDict back = load_safetensors(dir / "w.safetensors");
  REQUIRE(back.size() == weights.size());
  auto it = back.begin();
  for (const auto& [name, tensor] : weights) {
    INFO(name);
    CHECK(it->first == name);
    CHECK(it->second.scalar_type() == tensor.scalar_type());
    CHECK(it->second.equal(tensor));
    ++it;
  }
  CHECK(safetensors_metadata(dir / "w.safetensors") ==
        std::map<std::string, std::string>{{"format", "pt"}});
  CHECK(load_weights(dir / "w.safetensors").size() == weights.size());
}

TEST_CASE("safetensors data is aligned to its elements") {
  test::TempDir dir;
  save_safetensors(dir / "w.safetensors", some_weights());
  const std::string bytes = read_file(dir / "w.safetensors");
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  CHECK(length % 8 == 0);
  const auto header = test::Json::parse(bytes.substr(8, length));
  CHECK(header.at("double").at("data_offsets").at(0).get<int>() % 8 == 0);
  CHECK(header.at("scalar").at("data_offsets").at(0).get<int>() % 8 == 0);
  CHECK(header.at("half").at("data_offsets").at(0).get<int>() % 2 == 0);
}

TEST_CASE("what safetensors cannot hold is refused") {
  test::TempDir dir;
  const auto code = [&](const std::string& name, const torch::Tensor& tensor) {
    StateDict weights;
    weights.insert(name, tensor);
    return test::caught([&] { save_safetensors(dir / "w.safetensors", weights); }).code;
  };
  CHECK(code("c", torch::zeros({1}, torch::kComplexFloat)) == "value.dtype");
  CHECK(code("s", torch::ones({2, 2}).to_sparse()) == "value.dtype");
  CHECK(code("__metadata__", torch::zeros({1})) == "value.name");
  CHECK(code("\xff", torch::zeros({1})) == "value.name");
  CHECK(code("m", torch::zeros({1}, torch::TensorOptions(torch::kMeta))) == "value.tensor");
  CHECK(ls(dir.path()).empty());
}

TEST_CASE("a healthy file larger than the memory is not called damaged") {
  if (fastcpp::test::kSanitized) return;  // they have limits of their own
  test::TempDir dir;
  // Eight GiB that take no room on the disk.
  const std::string header =
      container(R"({"a":{"dtype":"F32","shape":[2147483648],"data_offsets":[0,8589934592]}})", "");
  write_file(dir / "w.safetensors", header);
  std::filesystem::resize_file(dir / "w.safetensors", header.size() + 8589934592);
  const auto result = test::in_child([&] {
    const rlimit limit{rlim_t{6} << 30, rlim_t{6} << 30};
    if (::setrlimit(RLIMIT_AS, &limit) != 0) return 98;
    const auto error = test::caught([&] { load_safetensors(dir / "w.safetensors"); });
    const bool named = error.message.find("w.safetensors") != std::string::npos;
    return error.code == "io.out_of_memory" && named ? 0 : 1;
  });
  CHECK(result.status == 0);
}

TEST_CASE("damaged safetensors are named with code and offset") {
  test::TempDir dir;
  const auto code = [&](const std::string& content) {
    write_file(dir / "w.safetensors", content);
    return test::caught([&] { load_safetensors(dir / "w.safetensors"); }).code;
  };
  const std::string good = R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})";
  CHECK(code(container(good, "xy")).empty());
  CHECK(code(container(good, "x")) == "safetensors.bad_offsets");
  CHECK(code(container(good, "xyz")) == "safetensors.bad_offsets");
  CHECK(code("1234") == "safetensors.truncated");
  CHECK(code(container("{\"a\":", "")) == "safetensors.bad_header");
  CHECK(code(container(R"({"a":{"dtype":"U9","shape":[2],"data_offsets":[0,2]}})", "xy")) ==
        "safetensors.bad_header");
  CHECK(code(container(R"({"a":{"shape":[2],"data_offsets":[0,2]}})", "xy")) ==
        "safetensors.bad_header");
  CHECK(code(container(R"({"a":{"dtype":"U8","data_offsets":[0,2]}})", "xy")) ==
        "safetensors.bad_header");
  CHECK(code(container(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2,3]}})", "xy")) ==
        "safetensors.bad_header");
  CHECK(code(container(R"({"__metadata__":{"a":1}})", "")) == "safetensors.bad_header");
  CHECK(code(container(R"({"a":{"dtype":"U8","shape":[],"shape":[2],"data_offsets":[0,2]}})",
                       "xy")) == "safetensors.bad_header");
  CHECK(code(container(good + std::string("\0{", 2), "xy")) == "safetensors.bad_header");
  CHECK(code(container(
            R"({"a":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,2]}})",
            "xy")) == "safetensors.bad_shape");
  CHECK(code(container("{}", "")).empty());
}
