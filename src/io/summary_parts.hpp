// What event files of TensorBoard hold, as messages of protocol buffers.
#pragma once

#include <torch/types.h>

#include <string>

namespace torch::nn {
class Module;
}

namespace fastcpp::inline v0::io {

// A HistogramProto: TensorFlow's buckets, without empty ones at both ends.
std::string histogram_message(const torch::Tensor& values);

// A Summary.Image. Throws ValueError value.tensor on another shape than SummaryWriter takes.
std::string image_message(const torch::Tensor& picture);
// n x C x H x W as one C x H' x W', with two dark pixels between the pictures. Throws ValueError value.tensor.
torch::Tensor image_grid(const torch::Tensor& pictures);

// A GraphDef: the tree of the layers in their names, edges in the order of registration.
std::string graph_message(const torch::nn::Module& model);

}  // namespace fastcpp::io
