/// \file
/// All headers of the room `plot`: figures.
#pragma once

#include "fastcpp/plot/color.hpp"
#include "fastcpp/plot/figure.hpp"
#include "fastcpp/plot/picture.hpp"
#include "fastcpp/plot/text_table.hpp"
