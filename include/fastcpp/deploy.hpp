/// \file
/// All headers of the room `deploy`: predicting, export.
#pragma once

#include "fastcpp/deploy/export_onnx.hpp"
#include "fastcpp/deploy/export_torchscript.hpp"
#include "fastcpp/deploy/load_learner.hpp"
#include "fastcpp/deploy/prediction_value.hpp"
#include "fastcpp/deploy/predictor.hpp"
