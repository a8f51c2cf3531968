/// \file
/// All headers of the room `collab`: ratings as data, their networks and learner.
#pragma once

#include "fastcpp/collab/collab_data_bunch.hpp"
#include "fastcpp/collab/collab_learner.hpp"
#include "fastcpp/collab/model.hpp"
