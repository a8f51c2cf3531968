/// \file
/// Event files, which TensorBoard shows.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"

namespace torch::nn {
class Module;
}

namespace fastcpp::inline v0 {

/// Options of SummaryWriter, with PyTorch's names.
struct SummaryWriterOptions {
  /// What TensorBoard shall forget of earlier files in the folder: everything from this step on, >= 0; absent: nothing.
  /// For a run that is continued.
  std::optional<std::int64_t> purge_step = {};
  std::string filename_suffix = {};  ///< ends the name of the file
};

/// Writes scalars, histograms, pictures, texts and a graph for TensorBoard (PyTorch:
/// `torch.utils.tensorboard.SummaryWriter`): `tensorboard --logdir <log_dir>` shows them, also while they are written.
///
/// Each call is one record that reaches the file at once and whole, so that a process that is killed leaves a readable
/// file. Tags are paths whose first word makes a section, such as `metrics/valid_loss`; what is no UTF-8 in them is
/// replaced. Not copied; a file of its own for each object. Threads: any number at once.
class FASTCPP_API SummaryWriter {
 public:
  /// Makes a new file whose name begins with `events.out.tfevents` in the folder, which is made where it is missing.
  /// \param log_dir folder of this run
  /// \throws IoError `io.cannot_create`, `io.cannot_write`; ValueError `value.summary` on a purge_step below 0
  explicit SummaryWriter(const Path& log_dir, const SummaryWriterOptions& options = {});
  ~SummaryWriter();
  SummaryWriter(const SummaryWriter&) = delete;
  SummaryWriter& operator=(const SummaryWriter&) = delete;

  /// The file. Lives as long as the writer.
  const Path& file() const;

  /// A point of a curve.
  /// \param tag   of the curve, not empty
  /// \param value kept in single precision; may be no number
  /// \param step  where on the x axis, for example the number of the batch
  /// \throws ValueError `value.summary` without a tag; IoError `io.cannot_write`
  void add_scalar(const std::string& tag, double value, std::int64_t step);
  /// How values are distributed, in buckets whose limits grow by a tenth each. What is not finite is left out.
  /// \param values any shape and type of real numbers, on any device
  /// \throws as `add_scalar`
  void add_histogram(const std::string& tag, const torch::Tensor& values, std::int64_t step);
  /// A picture.
  /// \param picture 3 x H x W, 1 x H x W or H x W; uint8, or floating point from 0 to 1
  /// \throws as `add_scalar`; ValueError `value.tensor` on another shape
  void add_image(const std::string& tag, const torch::Tensor& picture, std::int64_t step);
  /// Several pictures of one size side by side, at most eight in a row.
  /// \param pictures n x 3 x H x W or n x 1 x H x W, n >= 1
  /// \throws as `add_image`
  void add_images(const std::string& tag, const torch::Tensor& pictures, std::int64_t step);
  /// A text, which TensorBoard reads as Markdown.
  /// \throws as `add_scalar`
  void add_text(const std::string& tag, std::string_view text, std::int64_t step);
  /// The tree of a network's layers. Edges follow the order in which the layers were registered: LibTorch cannot be asked
  /// how the network computes, so a shortcut around layers is not drawn.
  /// \throws IoError `io.cannot_write`
  void add_graph(const torch::nn::Module& model);
  /// Waits until everything is on the disk, so that it survives a power failure too.
  /// \throws IoError `io.cannot_write`
  void flush();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fastcpp
