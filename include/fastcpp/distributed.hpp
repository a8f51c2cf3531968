/// \file
/// All headers of the room `distributed`: several processes that train one model.
#pragma once

#include "fastcpp/distributed/launch.hpp"
#include "fastcpp/distributed/setup_distrib.hpp"
