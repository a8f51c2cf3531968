// The network of a table in one piece.
#pragma once

#include <torch/types.h>

#include <optional>

#include "fastcpp/tabular/model.hpp"

namespace fastcpp::inline v0 {

// What the network makes of a batch before `y_range`, forward and backward each in one step of the graph: at its sizes
// LibTorch takes longer to call its operations than to carry them out. None where LibTorch has to run the layers: other
// than on the CPU in single precision, with hooks, traced, under autocast, with layers of another kind or with codes that
// no row of an embedding has. Safe in several threads where forward is.
std::optional<torch::Tensor> fused_pass(TabularModelImpl& network, const torch::Tensor& x_cat,
                                        const torch::Tensor& x_cont);

}  // namespace fastcpp
