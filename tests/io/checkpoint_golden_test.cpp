// Every file of tests/golden/checkpoints ends as the manifest says.
#include <fmt/format.h>
#include <pthread.h>
#include <sys/resource.h>
#include <torch/types.h>

#include <cstring>
#include <ctime>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/path.hpp"
#include "fastcpp/io/checkpoint.hpp"
#include "fastcpp/io/safetensors.hpp"
#include "support/catch.hpp"
#include "support/deviation.hpp"
#include "support/golden.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using test::Deviation;
using test::Json;

namespace {

const std::string kFolder = "checkpoints";

Path file_of(const Json& entry) {
  return std::filesystem::absolute(test::golden_dir() / kFolder /
                                   entry.at("file").get<std::string>());
}

// Both lists of the manifest; kept, because the tests walk over references into it.
const Json& manifest(const char* list) {
  static const Json content = test::golden(kFolder + "/checkpoints.json");
  return content.at(list);
}

std::string key_text(const Value& key) {
  return key.is_string() ? key.as_string() : key.to_string();
}

// All tensors below a value, named by their path.
void flatten(const Value& value, const std::string& path, StateDict& into) {
  const auto below = [&](const std::string& name) {
    return path.empty() ? name : path + "/" + name;
  };
  if (value.is_tensor()) {
    into.insert(path, value.as_tensor());
  } else if (value.is_dict()) {
    for (const auto& [key, item] : value.entries()) flatten(item, below(key_text(key)), into);
  } else if (value.is_list() || value.is_tuple()) {
    for (std::size_t i = 0; i < value.size(); ++i)
      flatten(value.items()[i], below(std::to_string(i)), into);
  }
}

// The manifest's `tree` for a value.
Json tree_of(const Value& value, const std::string& path) {
  const auto below = [&](const std::string& name) {
    return path.empty() ? name : path + "/" + name;
  };
  using Kind = Value::Kind;
  switch (value.kind()) {
    case Kind::kNone:
      return nullptr;
    case Kind::kBool:
      return value.as_bool();
    case Kind::kInt:
      return value.as_int();
    case Kind::kFloat:
      return value.as_double();
    case Kind::kBigInt:
    case Kind::kString:
      return value.as_string();
    case Kind::kBytes:
      return "bytes";
    case Kind::kTensor:
      return {{"tensor", path}};
    case Kind::kDict: {
      Json object = Json::object();
      for (const auto& [key, item] : value.entries()) {
        object[key_text(key)] = tree_of(item, below(key_text(key)));
      }
      return object;
    }
    default:
      break;
  }
  Json list = Json::array();
  for (std::size_t i = 0; i < value.size(); ++i) {
    list.push_back(tree_of(value.items()[i], below(std::to_string(i))));
  }
  if (value.is_slice()) return {{"slice", list}};
  return list;
}

std::string raw_values(const Json& where, std::size_t bytes) {
  static std::map<std::string, std::string> cache;
  const auto name = where.at("file").get<std::string>();
  if (cache[name].empty()) cache[name] = read_file(test::golden_dir() / kFolder / name);
  return cache[name].substr(where.at("offset").get<std::size_t>(), bytes);
}

const char* name_of(torch::ScalarType type) {
  static const std::map<torch::ScalarType, const char*> kNames = {
      {torch::kFloat64, "float64"},   {torch::kFloat32, "float32"}, {torch::kFloat16, "float16"},
      {torch::kBFloat16, "bfloat16"}, {torch::kInt64, "int64"},     {torch::kInt32, "int32"},
      {torch::kInt16, "int16"},       {torch::kInt8, "int8"},       {torch::kUInt8, "uint8"},
      {torch::kBool, "bool"}};
  const auto found = kNames.find(type);
  return found == kNames.end() ? "other" : found->second;
}

// Bit for bit; only a NaN of 16 bits may change its payload when the comparison widens it.
bool same_values(const torch::Tensor& tensor, const Json& where) {
  static const std::map<std::string, torch::ScalarType> kStored = {{"float32", torch::kFloat32},
                                                                   {"float64", torch::kFloat64},
                                                                   {"int64", torch::kInt64},
                                                                   {"uint8", torch::kUInt8}};
  const auto wide =
      tensor.detach().to(kStored.at(where.at("dtype").get<std::string>())).contiguous();
  const std::string expected = raw_values(where, wide.nbytes());
  if (expected.size() != wide.nbytes()) return false;
  if (wide.nbytes() == 0 || std::memcmp(expected.data(), wide.data_ptr(), wide.nbytes()) == 0)
    return true;
  if (tensor.element_size() != 2 || !tensor.is_floating_point()) return false;
  const auto stored =
      torch::from_blob(const_cast<char*>(expected.data()), wide.sizes(), wide.scalar_type());
  return torch::allclose(stored, wide, 0, 0, /*equal_nan=*/true);
}

void check_tensors(const StateDict& found, const Json& expected, Deviation& unequal) {
  REQUIRE(found.size() == expected.size());
  std::map<std::int64_t, const void*> storages;
  auto it = found.begin();
  for (const auto& entry : expected) {
    const auto& [name, tensor] = *it++;
    INFO("tensor " << entry.at("name"));
    CHECK(name == entry.at("name").get<std::string>());
    CHECK(name_of(tensor.scalar_type()) == entry.at("dtype").get<std::string>());
    REQUIRE(tensor.sizes().vec() == entry.at("shape").get<std::vector<std::int64_t>>());
    const bool same = same_values(tensor, entry.at("values"));
    CHECK(same);
    unequal.add(same ? 0 : 1);
    CHECK(tensor.device().is_cpu());
    if (entry.contains("strides")) {
      CHECK(tensor.strides().vec() == entry.at("strides").get<std::vector<std::int64_t>>());
    }
    if (entry.contains("storage")) {
      const void* storage = tensor.storage().data();
      const auto number = entry.at("storage").get<std::int64_t>();
      for (const auto& [other, address] : storages)
        CHECK((other == number) == (address == storage));
      storages.emplace(number, storage);
    }
  }
}

// Runs on a thread with a small stack, as a worker thread of a program would have.
void on_small_stack(std::size_t bytes, std::function<void()> work) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, bytes);
  pthread_t thread;
  const auto enter = [](void* argument) -> void* {
    (*static_cast<std::function<void()>*>(argument))();
    return nullptr;
  };
  REQUIRE(pthread_create(&thread, &attributes, enter, &work) == 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

std::int64_t peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return std::int64_t{usage.ru_maxrss} * 1024;
}

struct Outcome {
  bool loaded = false;
  std::string code, message;  // of an Error; code "other" for any other exception
};

Outcome outcome_of(const std::function<void()>& load) {
  try {
    load();
  } catch (const Error& e) {
    return {false, e.code(), e.what()};
  } catch (const std::exception& e) {
    return {false, "other", e.what()};
  }
  return {true, "", ""};
}

// Loads a file as weights and as a value, watching time, memory and the working directory.
Outcome load_watched(const Path& file) {
  const auto size = static_cast<std::int64_t>(std::filesystem::file_size(file));
  const auto before = peak_memory();
  // Of this process: a busy machine is not the file's fault.
  const auto start = std::clock();
  Outcome as_weights, as_value;
  on_small_stack(8u << 20, [&] {
    as_weights = outcome_of([&] { load_weights(file); });
    as_value = outcome_of([&] { load_checkpoint(file).to_string(); });
  });
  const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  // The limits of the golden README; two loads fit into them.
  CHECK(seconds < 2);
  // A sanitizer holds freed memory back, which the peak then counts.
  if (!fastcpp::test::kSanitized) CHECK(peak_memory() - before < 4 * size + (64 << 20));
  CHECK(as_value.code != "other");
  CHECK(std::filesystem::is_empty(std::filesystem::current_path()));
  return as_weights;
}

// A working directory of its own, where nothing may appear.
class EmptyDirectory {
 public:
  EmptyDirectory() : former_(std::filesystem::current_path()) {
    std::filesystem::current_path(dir_.path());
  }
  ~EmptyDirectory() { std::filesystem::current_path(former_); }

 private:
  test::TempDir dir_;
  Path former_;
};

// Also counted: files that do not end as expected.
void check_expectation(const Json& entry, Deviation& unexpected) {
  const auto expect = entry.at("expect").get<std::string>();
  INFO(entry.at("file"));
  const Outcome outcome = load_watched(file_of(entry));
  INFO("code " << outcome.code << ": " << outcome.message);
  CHECK(outcome.code != "other");
  unexpected.add(outcome.code == "other" || outcome.loaded ? expect == "error" : expect == "ok");
  if (expect == "error") {
    CHECK_FALSE(outcome.loaded);
    CHECK_FALSE(outcome.code.empty());
    CHECK(outcome.message.find(Path(entry.at("file").get<std::string>()).filename().string()) !=
          std::string::npos);
  } else if (expect == "ok") {
    CHECK(outcome.loaded);
  }
}

}  // namespace

TEST_CASE("golden checkpoints load bit for bit") {
  int loaded = 0;
  Deviation unequal("checkpoints/load_checkpoint");
  for (const auto& entry : manifest("files")) {
    if (entry.at("expect") == "error" || entry.at("format") == "safetensors") continue;
    INFO(entry.at("file"));
    Value root;
    const Outcome outcome = outcome_of([&] { root = load_checkpoint(file_of(entry)); });
    INFO(outcome.message);
    REQUIRE(outcome.loaded);
    StateDict tensors;
    flatten(root, "", tensors);
    check_tensors(tensors, entry.at("tensors"), unequal);
    std::vector<std::string> keys;
    for (const auto& item : root.entries()) keys.push_back(key_text(item.first));
    CHECK(keys == entry.at("keys").get<std::vector<std::string>>());
    if (entry.contains("tree")) CHECK(tree_of(root, "") == entry.at("tree"));
    for (const auto& tensor : entry.at("tensors")) {
      if (!tensor.contains("requires_grad")) continue;
      CHECK(tensors.at(tensor.at("name").get<std::string>()).requires_grad() ==
            tensor.at("requires_grad").get<bool>());
    }
    ++loaded;
  }
  CHECK(loaded > 0);
}

TEST_CASE("load_weights takes state dicts, the model of learn.save, and safetensors") {
  Deviation unequal("checkpoints/load_weights");
  for (const auto& entry : manifest("files")) {
    if (entry.at("expect") == "error") continue;
    const bool learner = entry.value("layout", "") == "learner";
    if (entry.contains("tree") && !learner)
      continue;  // plain values beside tensors: see load_checkpoint
    INFO(entry.at("file"));
    const StateDict weights = load_weights(file_of(entry));
    Json expected = Json::array();
    for (auto tensor : entry.at("tensors")) {
      const auto name = tensor.at("name").get<std::string>();
      if (learner && !name.starts_with("model/")) continue;
      if (learner) tensor["name"] = name.substr(6);
      expected.push_back(tensor);
    }
    check_tensors(weights, expected, unequal);
    for (const auto& [name, tensor] : weights) CHECK_FALSE(tensor.requires_grad());
  }
}

TEST_CASE("files that hold no weights are refused") {
  EmptyDirectory here;
  Deviation unexpected("checkpoints/refuse");
  for (const auto& entry : manifest("files")) {
    if (entry.at("expect") == "error") check_expectation(entry, unexpected);
  }
}

TEST_CASE("hostile files never run code, crash, hang or take memory") {
  EmptyDirectory here;
  Deviation unexpected("checkpoints/hostile");
  for (const auto& entry : manifest("hostile")) check_expectation(entry, unexpected);
}

TEST_CASE("a refusal says what the file is and what to do") {
  const auto refusal = [](const std::string& name) {
    return test::caught([&] { load_weights(test::golden_dir() / kFolder / "refuse" / name); });
  };
  const auto says = [](const test::Caught& caught, const std::string& text) {
    INFO(caught.message);
    return caught.message.find(text) != std::string::npos;
  };
  CHECK(refusal("torchscript.pt").code == "zip.torchscript");
  CHECK(says(refusal("torchscript.pt"), "TorchScript"));
  CHECK(refusal("plain.zip").code == "zip.not_a_checkpoint");
  CHECK(says(refusal("empty.pth"), "empty"));
  CHECK(says(refusal("html.pth"), "web page"));
  CHECK(says(refusal("text.pth"), "Git LFS"));
  CHECK(says(refusal("export_zip.pkl"), "learn.save"));
  CHECK(says(refusal("whole_module_zip.pth"), "state_dict()"));
  CHECK(says(refusal("whole_module_legacy.pth"), "state_dict()"));
  CHECK(says(refusal("sparse_zip.pth"), "sparse"));
  CHECK(refusal("bare_tensor_zip.pth").code == "pickle.not_a_state_dict");
  CHECK(refusal("no_such_file.pth").code == "io.cannot_read");
  CHECK(test::caught([] { load_weights(std::filesystem::temp_directory_path()); }).code ==
        "io.cannot_read");
}

TEST_CASE("a format error carries the byte offset") {
  const auto offset_of = [](const std::string& name) -> std::int64_t {
    try {
      load_weights(test::golden_dir() / kFolder / "hostile" / name);
    } catch (const FormatError& e) {
      return e.offset();
    }
    return -2;
  };
  const auto where = [](const std::string& name, const std::string& text) {
    return static_cast<std::int64_t>(
        read_file(test::golden_dir() / kFolder / "hostile" / name).find(text));
  };
  CHECK(offset_of("reduce_os_system_zip.pth") == where("reduce_os_system_zip.pth", "cos\nsystem"));
  CHECK(offset_of("reduce_os_system_legacy.pth") ==
        where("reduce_os_system_legacy.pth", "cos\nsystem"));
}

TEST_CASE("damaged checkpoints raise nothing but Error") {
  // One changed byte, or a cut, at every few places of small files of each kind.
  const auto folder = test::golden_dir() / kFolder;
  test::TempDir dir;
  const Path victim = dir / "victim.pth";
  int tried = 0, refused = 0;
  for (const char* name :
       {"good/dtypes_zip.pth", "good/dtypes_legacy.pth", "good/views_legacy.pth",
        "good/learn_save_frozen_zip.pth", "good/learn_save_one_cycle_legacy.pth",
        "good/python2_rebuild_v1_legacy.pth", "good/protocol4_zip.pth", "good/deflated_zip.pth",
        "good/python_values_legacy.pth", "safetensors/dtypes.safetensors"}) {
    const std::string good = read_file(folder / name);
    for (std::size_t k = 0; k < 400; ++k) {
      std::string bad = good;
      const auto key = fmt::format("fuzz {}", name);
      const auto place =
          static_cast<std::size_t>(test::ints(key, static_cast<std::int64_t>(good.size()), 2 * k));
      if (k % 8 == 0) {
        bad.resize(place);
      } else {
        bad[place] = static_cast<char>(bad[place] ^ (1 + test::ints(key, 255, 2 * k + 1)));
      }
      std::ofstream(victim, std::ios::binary | std::ios::trunc) << bad;
      const Outcome outcome = outcome_of([&] {
        load_weights(victim);
        load_checkpoint(victim).to_string();
      });
      INFO(name << " byte " << place << ": " << outcome.message);
      REQUIRE(outcome.code != "other");
      ++tried;
      refused += !outcome.loaded;
    }
  }
  // Some changes only alter a number or a name; most must be noticed.
  CHECK(refused > tried / 3);
}
