// Turns the content of a checkpoint into values: containers first, tensors when they are met.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include <torch/types.h>

#include "fastcpp/io/value.hpp"
#include "io/file_access.hpp"
#include "io/unpickler.hpp"

namespace fastcpp::inline v0::io {

// A checkpoint whose pickle has been read and whose storages have not.
class CheckpointReader {
 public:
  virtual ~CheckpointReader() = default;
  // The root object.
  Ref root() const { return root_; }
  const PickleGraph& graph() const { return unpickler_->graph(); }
  // The value below `ref`. Storages are read once, the first time they are needed.
  Value value(Ref ref);
  // The file, for messages.
  const std::string& name() const { return file_.name(); }

 protected:
  explicit CheckpointReader(const FileReader& file) : file_(file) {}
  // One storage of `bytes` bytes as a flat tensor; checks that the file holds it before taking
  // memory.
  virtual torch::Tensor read_storage(const StorageRecord& storage, std::size_t index,
                                     std::uint64_t bytes) = 0;

  const FileReader& file_;
  std::string pickle_;  // the bytes that the graph points into
  std::unique_ptr<Unpickler> unpickler_;
  Ref root_;

 private:
  Value build(Ref ref, int depth);
  Value build_container(Ref ref, int depth);
  Value text(Ref ref);
  torch::Tensor tensor(const TensorRecord& record);
  const torch::Tensor& storage(std::size_t index);
  void check_depth(int depth) const;

  std::unordered_map<std::uint64_t, Value> containers_, texts_, tensors_;
  std::unordered_map<std::uint64_t, bool> open_;
  std::unordered_map<std::size_t, torch::Tensor> storages_;
};

// Opens a zip or legacy checkpoint, told apart by content. Throws FormatError pickle.… or zip.….
std::unique_ptr<CheckpointReader> open_checkpoint(const FileReader& file);

}  // namespace fastcpp::io
