#include "fastcpp/io/safetensors.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <set>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "io/dtypes.hpp"
#include "io/file_access.hpp"
#include "io/safetensors_bytes.hpp"

namespace fastcpp::inline v0 {
namespace {

using Json = nlohmann::json;

constexpr const char* kMetadata = "__metadata__";
constexpr std::uint64_t kMaxHeader = 100u << 20;

struct TensorInfo {
  std::string name;
  std::optional<torch::ScalarType> dtype;
  std::vector<std::int64_t> shape;
  std::vector<std::uint64_t> offsets;
  bool has_shape = false;
};

// Takes the header apart while it is being read, so that only what a header may hold takes memory.
//   depth 1: {name: ...}; depth 2: {dtype, shape, data_offsets} or the metadata; depth 3: the lists
class HeaderReader : public nlohmann::json_sax<Json> {
 public:
  std::vector<TensorInfo> tensors;
  std::map<std::string, std::string> metadata;
  std::string fault;
  std::size_t fault_at = 0;

  bool null() override { return stop("null"); }
  bool boolean(bool) override { return stop("a bool"); }
  bool number_integer(number_integer_t) override { return stop("a negative number"); }
  bool number_float(number_float_t, const string_t&) override {
    return stop("a fractional number");
  }
  bool binary(binary_t&) override { return stop("bytes"); }

  bool number_unsigned(number_unsigned_t number) override {
    if (!in_list_) return stop("a number outside of a list");
    if (field_ == "data_offsets" && tensors.back().offsets.size() < 2) {
      tensors.back().offsets.push_back(number);
      return true;
    }
    if (field_ != "shape" || number > INT64_MAX || tensors.back().shape.size() >= io::kMaxRank)
      return stop("a number");
    tensors.back().shape.push_back(static_cast<std::int64_t>(number));
    return true;
  }

  bool string(string_t& text) override {
    if (depth_ != 2 || in_list_) return stop("a text");
    if (in_metadata_) {
      metadata[field_] = text;
      return true;
    }
    tensors.back().dtype = io::dtype_of_safetensors(text);
    if (field_ != "dtype") return stop("a text");
    return tensors.back().dtype || stop(("the element type " + text.substr(0, 40)).c_str());
  }

  bool start_object(std::size_t) override {
    if (depth_ >= 2 || in_list_) return stop("a nested object");
    ++depth_;
    fields_.clear();
    return true;
  }

  bool end_object() override {
    --depth_;
    if (depth_ == 1 && !in_metadata_) {
      const auto& tensor = tensors.back();
      if (!tensor.dtype || !tensor.has_shape || tensor.offsets.size() != 2) {
        return stop("a tensor without dtype, shape and data_offsets");
      }
    }
    in_metadata_ = false;
    return true;
  }

  bool key(string_t& name) override {
    if (depth_ == 2) {
      field_ = name;
      return in_metadata_ || fields_.insert(name).second || stop("a field that occurs twice");
    }
    if (!names_.insert(name).second) return stop("a name that occurs twice");
    in_metadata_ = name == kMetadata;
    if (!in_metadata_) tensors.push_back({name, {}, {}, {}, false});
    return true;
  }

  bool start_array(std::size_t) override {
    const bool good = depth_ == 2 && !in_list_ && !in_metadata_ &&
                      (field_ == "shape" || field_ == "data_offsets");
    if (!good) return stop("a list");
    in_list_ = true;
    tensors.back().has_shape |= field_ == "shape";
    return true;
  }

  bool end_array() override {
    in_list_ = false;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    fault = "no JSON";
    fault_at = position;
    return false;
  }

 private:
  bool stop(const char* what) {
    fault = fmt::format(
        "{} at an unexpected place{}", what,
        tensors.empty() ? ""
                        : fmt::format(", near the tensor '{}'", tensors.back().name.substr(0, 80)));
    return false;
  }

  int depth_ = 0;
  bool in_list_ = false, in_metadata_ = false;
  std::string field_;
  std::set<std::string> names_, fields_;
};

struct Opened {
  const io::FilePart& file;
  HeaderReader header;
  std::uint64_t data = 0;  // where the tensors start

  explicit Opened(const io::FilePart& part) : file(part) { read_header(); }

  [[noreturn]] void fail(const char* code, const std::string& message, std::uint64_t offset) const {
    const auto at = file.offset() + offset;
    throw FormatError(code, fmt::format("'{}': {} (at byte {})", file.name(), message, at),
                      static_cast<std::int64_t>(at));
  }

 private:
  void read_header() {
    std::uint64_t length = 0;
    if (file.size() < sizeof(length))
      fail("safetensors.truncated", "no safetensors file: shorter than 8 bytes", 0);
    file.read(0, &length, sizeof(length));
    if (length > file.size() - 8 || length > kMaxHeader) {
      fail("safetensors.bad_header",
           fmt::format("a header of {} bytes in a file of {}; damaged, cut short or no "
                       "safetensors file",
                       length, file.size()),
           0);
    }
    const std::string text = file.read(8, static_cast<std::size_t>(length));
    data = 8 + length;
    if (text.empty() || text[0] != '{')
      fail("safetensors.bad_header", "the header is no JSON object", 8);
    // To the parser a zero byte is the end of the text.
    if (text.find('\0') != text.npos)
      fail("safetensors.bad_header", "a zero byte in the header", 8 + text.find('\0'));
    if (!Json::sax_parse(text, &header)) {
      fail("safetensors.bad_header", "the header holds " + header.fault, 8 + header.fault_at);
    }
  }
};

std::uint64_t bytes_of(const Opened& opened, const TensorInfo& info) {
  std::int64_t bytes = static_cast<std::int64_t>(torch::elementSize(*info.dtype));
  std::int64_t product = bytes;
  for (std::int64_t size : info.shape) {
    // Also sizes beside a 0 must not overflow: they are multiplied to strides.
    if (__builtin_mul_overflow(product, std::max<std::int64_t>(size, 1), &product)) {
      opened.fail("safetensors.bad_shape", fmt::format("the shape of '{}' overflows", info.name),
                  8);
    }
    bytes = size == 0 ? 0 : bytes * size;
  }
  return static_cast<std::uint64_t>(bytes);
}

// The tensors, in the order of their data, must tile the rest of the file.
void check_layout(const Opened& opened) {
  std::vector<const TensorInfo*> by_place;
  for (const auto& info : opened.header.tensors) by_place.push_back(&info);
  std::stable_sort(by_place.begin(), by_place.end(),
                   [](auto* a, auto* b) { return a->offsets < b->offsets; });
  std::uint64_t at = 0;
  const std::uint64_t all = opened.file.size() - opened.data;
  for (const TensorInfo* info : by_place) {
    const std::uint64_t begin = info->offsets[0], end = info->offsets[1];
    if (begin > end || end > all) {
      opened.fail(
          "safetensors.bad_offsets",
          fmt::format("'{}' lies at {} to {} of {} bytes of data", info->name, begin, end, all),
          opened.data);
    }
    if (begin != at) {
      opened.fail("safetensors.bad_offsets",
                  fmt::format("'{}' starts at {}, expected {}: tensors overlap or leave a hole",
                              info->name, begin, at),
                  opened.data + at);
    }
    const std::uint64_t needed = bytes_of(opened, *info);
    if (end - begin != needed) {
      opened.fail(
          "safetensors.bad_offsets",
          fmt::format("'{}' has {} bytes, its shape needs {}", info->name, end - begin, needed),
          opened.data + begin);
    }
    at = end;
  }
  if (at != all)
    opened.fail("safetensors.bad_offsets", "bytes behind the last tensor", opened.data + at);
}

torch::Tensor read_tensor(const Opened& opened, const TensorInfo& info) {
  torch::Tensor tensor = torch::empty(info.shape, *info.dtype);
  const auto bytes = static_cast<std::size_t>(info.offsets[1] - info.offsets[0]);
  opened.file.read(opened.data + info.offsets[0], tensor.data_ptr(), bytes);
  if (info.dtype == torch::kBool) {
    // Any other byte than 0 and 1 is no bool to C++.
    auto* flags = static_cast<unsigned char*>(tensor.data_ptr());
    for (std::size_t i = 0; i < bytes; ++i) flags[i] = flags[i] != 0;
  }
  return tensor;
}

template <typename F>
auto guarded(const Path& file, F&& read) {
  return boundary([&] {
    try {
      return boundary(read);
    } catch (const MemoryError&) {
      std::throw_with_nested(
          IoError("io.out_of_memory",
                  fmt::format("there is not enough memory to read '{}': free memory elsewhere",
                              file.string())));
    } catch (const TrainError& e) {
      std::throw_with_nested(FormatError(
          "safetensors.bad_shape",
          fmt::format("'{}' holds a tensor that cannot be: {}", file.string(), e.what())));
    }
  });
}

std::string quoted(const std::string& text) {
  try {
    return Json(text).dump();
  } catch (const Json::exception&) {
    throw ValueError("value.name",
                     "a name or metadata text is not UTF-8; safetensors files hold nothing else");
  }
}

std::string header_of(const StateDict& weights, const std::map<std::string, std::string>& metadata,
                      const std::map<std::string_view, std::uint64_t>& places) {
  std::string header = "{";
  if (!metadata.empty()) {
    header += fmt::format("\"{}\":{{", kMetadata);
    for (const auto& [key, text] : metadata)
      header += fmt::format("{}:{},", quoted(key), quoted(text));
    header.back() = '}';
    header += ',';
  }
  for (const auto& [name, tensor] : weights) {
    const std::uint64_t begin = places.at(name);
    const std::uint64_t end =
        begin + static_cast<std::uint64_t>(tensor.numel()) * tensor.element_size();
    header += fmt::format("{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}},",
                          quoted(name), io::find_dtype(tensor.scalar_type())->safetensors,
                          fmt::join(tensor.sizes().vec(), ","), begin, end);
  }
  if (header.back() == ',') header.pop_back();
  header += '}';
  header.resize((header.size() + 7) / 8 * 8, ' ');
  return header;
}

}  // namespace

StateDict io::read_safetensors(const FilePart& part) {
  return guarded(part.name(), [&] {
    const Opened opened(part);
    check_layout(opened);
    StateDict weights;
    for (const auto& info : opened.header.tensors)
      weights.insert(info.name, read_tensor(opened, info));
    return weights;
  });
}

io::SafetensorsBytes::SafetensorsBytes(const StateDict& weights,
                                       const std::map<std::string, std::string>& metadata) {
  std::vector<const StateDict::Entry*> by_width;
  for (const auto& entry : weights) {
    const auto& [name, tensor] = entry;
    const auto* dtype = find_dtype(tensor.scalar_type());
    if (!dtype || !dtype->safetensors || tensor.layout() != torch::kStrided) {
      throw ValueError("value.dtype", fmt::format("safetensors cannot hold '{}' of type {}", name,
                                                  tensor.toString()));
    }
    if (name == kMetadata)
      throw ValueError("value.name", "no tensor can be called __metadata__ in a safetensors file");
    by_width.push_back(&entry);
  }
  // Wide elements first keeps every tensor aligned to its element.
  std::stable_sort(by_width.begin(), by_width.end(), [](auto* a, auto* b) {
    return a->second.element_size() > b->second.element_size();
  });
  std::map<std::string_view, std::uint64_t> places;
  std::uint64_t at = 0;
  for (const auto* entry : by_width) {
    places[entry->first] = at;
    at += static_cast<std::uint64_t>(entry->second.numel()) * entry->second.element_size();
    entries_.push_back(*entry);
  }
  const auto header = header_of(weights, metadata, places);
  const std::uint64_t length = header.size();
  head_.assign(reinterpret_cast<const char*>(&length), sizeof(length));
  head_ += header;
}

torch::Tensor io::SafetensorsBytes::content(std::size_t i) const {
  const auto& tensor = entries_[i].second;
  try {
    return boundary([&] { return tensor.detach().resolve_neg().cpu().contiguous(); });
  } catch (const MemoryError&) {
    throw;
  } catch (const TrainError& e) {
    std::throw_with_nested(ValueError(
        "value.tensor", fmt::format("the tensor '{}' has no content that can be read: {}",
                                    entries_[i].first, e.what())));
  }
}

StateDict load_safetensors(const Path& file) {
  return guarded(file, [&] {
    const io::FileReader reader(file);
    return io::read_safetensors(io::FilePart(reader));
  });
}

std::map<std::string, std::string> safetensors_metadata(const Path& file) {
  return guarded(file, [&] {
    const io::FileReader reader(file);
    const io::FilePart all(reader);
    return Opened(all).header.metadata;
  });
}

void save_safetensors(const Path& file, const StateDict& weights,
                      const std::map<std::string, std::string>& metadata) {
  boundary([&] {
    const io::SafetensorsBytes bytes(weights, metadata);
    io::AtomicWriter out(file);
    out.write(bytes.head());
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const auto tensor = bytes.content(i);
      out.write(tensor.data_ptr(), tensor.nbytes());
    }
    out.commit();
  });
}

}  // namespace fastcpp
