// Augmentation on the device of the batch: workers decode and draw, and write for each picture the
// bytes it will show with the numbers of its one resampling; the device resamples whole batches.
#pragma once

#include <torch/types.h>

#include "vision/transform/plan.hpp"

namespace fastcpp::detail {

// How many floats a picture takes in a batch that the device finishes; not less than the finished
// picture has.
std::int64_t packed_size(Resolution out);

// Writes picture and plan into `slot`, packed_size(out) floats. A plan of another form than
// `fast_form`, zero padding, or a region with more bytes than a finished picture is finished here.
void pack_for_device(const Plan& plan, const Source& source, Resolution out, float* slot);

// Finished pictures, n x 3 x rows x cols with their channels together, of what pack_for_device
// wrote. Pixels are those of `execute_fast` up to single precision and, where a picture was shrunk
// first, up to half a level of 255.
// \param packed n x packed_size(out), float32, on any device
torch::Tensor finish_on_device(const torch::Tensor& packed, Resolution out, PaddingMode padding);

}  // namespace fastcpp::detail
