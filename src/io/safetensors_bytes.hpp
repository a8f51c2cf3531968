// Safetensors as part of another file.
#pragma once

#include <torch/types.h>

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "fastcpp/io/state_dict.hpp"
#include "io/file_access.hpp"

namespace fastcpp::inline v0::io {

// As load_safetensors.
StateDict read_safetensors(const FilePart& part);

// The content of a safetensors file: a head, then the tensors in an order of its own. Throws as save_safetensors.
class SafetensorsBytes {
 public:
  SafetensorsBytes(const StateDict& weights, const std::map<std::string, std::string>& metadata);

  const std::string& head() const { return head_; }
  std::size_t size() const { return entries_.size(); }
  // The bytes of tensor i, on the CPU, one after the other.
  torch::Tensor content(std::size_t i) const;

 private:
  std::string head_;
  std::vector<StateDict::Entry> entries_;
};

}  // namespace fastcpp::io
