/// \file
/// Named weights, and how they enter and leave a network (PyTorch: `state_dict`,
/// `load_state_dict`).
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <torch/nn/module.h>
#include <torch/types.h>

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// Tensors by name in the order of insertion, like the `OrderedDict` of PyTorch's
/// `Module.state_dict()`.
///
/// Copying copies the names and shares the tensors. Threads may read one at the same time, while none inserts.
class FASTCPP_API StateDict {
 public:
  /// A name and its tensor.
  using Entry = std::pair<std::string, torch::Tensor>;
  /// Walks the entries in order.
  using const_iterator = std::vector<Entry>::const_iterator;

  /// Adds an entry at the end; a name that exists keeps its place and gets the new tensor.
  /// \throws ValueError `value.undefined_tensor` when `value` is not defined
  void insert(std::string name, torch::Tensor value);
  /// The tensor of that name, or nullptr; valid until the next `insert`.
  const torch::Tensor* find(std::string_view name) const;
  /// The tensor of that name; the reference is good until the next `insert`.
  /// \throws WeightsError `weights.missing_key`
  const torch::Tensor& at(std::string_view name) const;
  /// Whether the name exists.
  bool contains(std::string_view name) const { return find(name) != nullptr; }

  /// Number of entries.
  std::size_t size() const { return entries_.size(); }
  /// Whether there is no entry.
  bool empty() const { return entries_.empty(); }
  /// First entry; iterators are good until the next `insert`.
  const_iterator begin() const { return entries_.begin(); }
  /// Behind the last entry.
  const_iterator end() const { return entries_.end(); }

 private:
  std::vector<Entry> entries_;
  std::map<std::string, std::size_t, std::less<>> index_;
};

/// The parameters and buffers of a network in PyTorch's order: those of a module, then those of its
/// children in the order of registration. The tensors are detached and share memory with the
/// network.
FASTCPP_API StateDict state_dict(const torch::nn::Module& module);

/// Keyword arguments of `load_state_dict`.
struct LoadStateDictOptions {
  /// Names and shapes must agree; otherwise nothing is loaded (PyTorch: `strict`).
  bool strict = true;
};

/// What did not fit in `load_state_dict`. A value: copies share nothing. Threads: const calls by any number at once.
struct LoadReport {
  /// Names of the network that the weights lack.
  std::vector<std::string> missing;
  /// Names of the weights that the network lacks.
  std::vector<std::string> unexpected;
  /// Names in both whose shapes differ, as `name: network [64, 3, 7, 7], weights [64, 3, 3, 3]`.
  std::vector<std::string> wrong_shape;
  /// Whether everything fitted.
  bool ok() const { return missing.empty() && unexpected.empty() && wrong_shape.empty(); }
};

/// Copies weights into a network, converting element type and device (PyTorch: `Module.load_state_dict`).
///
/// Strict, it loads everything or nothing. Not strict, it loads what fits in name and shape and reports the rest. A
/// missing `num_batches_tracked` is no fault: files written before PyTorch 0.4.1 have none, and the counter becomes 0.
/// Nobody may use the network meanwhile.
/// \throws WeightsError `weights.mismatch` when strict and something does not fit: lists missing, unexpected and
///   wrong-shaped names; `weights.cannot_copy` when a tensor cannot be converted (nothing is loaded when it is sparse,
///   quantized or without content)
FASTCPP_API LoadReport load_state_dict(torch::nn::Module& module, const StateDict& weights,
                                       const LoadStateDictOptions& options = {});

}  // namespace fastcpp
