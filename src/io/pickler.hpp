// Writes values as a pickle that Python's torch.load reads.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <torch/types.h>

#include "fastcpp/io/value.hpp"

namespace fastcpp::inline v0::io {

// The pickle text, and the storages it mentions: number i is the entry data/i. Throws ValueError
// value.dtype.
class Pickler {
 public:
  explicit Pickler(const Value& root);
  const std::string& bytes() const { return out_; }
  // Flat CPU tensors, one per storage.
  const std::vector<torch::Tensor>& storages() const { return storages_; }

 private:
  void write(const Value& value);
  void write_container(const Value& value);
  void write_tensor(const torch::Tensor& tensor);
  void write_int(std::int64_t number);
  void write_float(double number);
  void write_text(const std::string& text);
  void write_bytes(const std::string& bytes);
  void write_dimensions(torch::IntArrayRef values);
  void global(const std::string& module_and_name);
  void remember(std::uint32_t number);
  std::size_t storage_of(const torch::Tensor& tensor);
  void byte(unsigned char value) { out_ += static_cast<char>(value); }
  template <typename T>
  void little(T number);

  std::string out_;
  std::uint32_t memo_ = 0;
  std::map<std::string, std::uint32_t> globals_;
  std::unordered_map<const void*, std::uint32_t> containers_;
  std::vector<torch::Tensor> storages_;
  std::vector<torch::Tensor> alive_;
  std::map<std::pair<const void*, torch::ScalarType>, std::size_t> storage_by_address_;
};

}  // namespace fastcpp::io
