/// \file
/// The version of the library; CMake reads it from here.
#pragma once

#define FASTCPP_VERSION_MAJOR 0
#define FASTCPP_VERSION_MINOR 1
#define FASTCPP_VERSION_PATCH 0
