// Pictures as the validation path of a data bunch prepares them, without the bunch.
#pragma once

#include <torch/types.h>

#include <any>
#include <optional>
#include <vector>

#include "fastcpp/data/item_reader.hpp"
#include "fastcpp/data/stats.hpp"
#include "fastcpp/data/tensors.hpp"
#include "fastcpp/vision/transform/transform.hpp"

namespace fastcpp::inline v0 {

struct BatchReader {
  // Of pictures; none where samples are tensors.
  struct Pictures {
    TfmList tfms;
    ApplyTfmsOptions apply;
  };
  std::optional<Pictures> pictures;
  std::optional<Stats> stats;
  std::vector<torch::ScalarType> dtypes;  // of a sample's tensors; empty: as they come
  torch::Device device = torch::kCPU;
  ItemReader reader = {};  // of other items; empty: none

  // A Path, a file name, an Image, or a sample as a tensor: a normalised batch of one on the device.
  // Throws ValueError `value.item`; as open_image.
  Tensors operator()(const std::any& item) const;
};

}  // namespace fastcpp
