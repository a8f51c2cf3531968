/// \file
/// Pretrained weights in the folder that PyTorch uses, so that both share one copy.
#pragma once

#include <string>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/io/download.hpp"

namespace fastcpp::inline v0 {

/// A weights file of PyTorch's server. A value: copies share nothing. Threads: const calls by any number at once.
struct FASTCPP_API WeightsFile {
  std::string file_name;  ///< such as `resnet34-b627a593.pth`

  /// The hex digits between the last dash and the dot: the beginning of the file's SHA-256. Empty
  /// when there are none.
  std::string sha256_prefix() const;
};

/// Arguments of `hub_weights`.
struct HubOptions {
  std::string base_url = "https://download.pytorch.org/models/";  ///< the file's name is added
  DownloadUrlOptions download = {};                               ///< time-outs, limits, retries
};

/// Where PyTorch keeps downloaded weights: `$TORCH_HOME/hub/checkpoints`, else
/// `$XDG_CACHE_HOME/torch/hub/checkpoints`, else `~/.cache/torch/hub/checkpoints`.
FASTCPP_API Path hub_dir();

/// Path of a weights file, downloaded when it is not there (PyTorch: `load_state_dict_from_url`).
///
/// The digits in the name are compared with the file's SHA-256, at each call: PyTorch's own cache may hold half a file.
/// That takes about 0.2 s for the 87 MB of a ResNet-34. A download is compared before it gets the name, and a file that
/// is there is never replaced. Thread-safe.
///
/// \param file_name such as `resnet34-b627a593.pth`; without digits (or `HubOptions::download.sha256_prefix`) nothing
///   is compared
/// \throws ValueError `value.weights_file` when the name is empty or leads to another folder
/// \throws DownloadError `download.checksum` when the file, there or downloaded, is not the one that its name says; and
///   as `download_url`
/// \throws IoError `io.cannot_read` when something else than a file has the name; and as `download_url`
FASTCPP_API Path hub_weights(const std::string& file_name, const HubOptions& options = {});

}  // namespace fastcpp
