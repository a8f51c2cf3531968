/// \file
/// Pretrained weights in the folder that PyTorch uses, so that both share one copy.
#pragma once

#include <string>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/io/download.hpp"

namespace fastcpp {

/// A weights file of PyTorch's server.
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
/// A file that is there is taken without a check, as PyTorch does. A download is compared with the digits in its name
/// before it gets that name.
/// \param file_name such as `resnet34-b627a593.pth`
/// \throws ValueError `value.weights_file` when the name is empty or leads to another folder
/// \throws DownloadError `download.checksum`, and as `download_url`
FASTCPP_API Path hub_weights(const std::string& file_name, const HubOptions& options = {});

}  // namespace fastcpp
