/// \file
/// All headers of the room `kernels`: w
#pragma once

#include "fastcpp/kernels/adam.hpp"
#include "fastcpp/kernels/packed_conv.hpp"
#include "fastcpp/kernels/processor.hpp"
