/// \file
/// Augmentation on the device of the batch, for the picture data sets: workers decode and draw, and write for each
/// picture the bytes it will show with the numbers of its one resampling; the device resamples whole batches.
#pragma once

#include <torch/types.h>

#include <cstdint>

#include "fastcpp/export.hpp"
#include "fastcpp/vision/transform/transform.hpp"

namespace fastcpp::inline v0 {
namespace detail {

// How many floats a picture takes in a batch that the device finishes; not less than the finished picture has.
FASTCPP_API std::int64_t packed_size(Resolution out);

// As apply_tfms_into, but packed for `finish_on_device`: packed_size(out) floats, out being output_size. What the
// device cannot do (other forms of lists, transforms of one's own, zero padding, a region with more bytes than the
// finished picture) is finished here.
FASTCPP_API void pack_tfms_into(const cv::Mat& rgb8, const TfmList& tfms,
                                const ApplyTfmsOptions& options, Rng& rng, Resolution out,
                                float* slot);

// Finished pictures, n x 3 x rows x cols with their channels together, of what was packed. Pixels are those of
// apply_tfms_into up to single precision and, where a picture was shrunk first, up to half a level of 255.
// \param packed n x packed_size(out), float32, on any device
FASTCPP_API torch::Tensor finish_on_device(const torch::Tensor& packed, Resolution out,
                                           PaddingMode padding);

}  // namespace detail
}  // namespace fastcpp
