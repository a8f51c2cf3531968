/// \file
/// FASTCPP_API marks what a shared build exports; everything else stays hidden.
#pragma once

// Every public header comes by here first.
#if __cplusplus < 202002L
#error "fastcpp needs C++20: compile with -std=c++20, or link the CMake target fastcpp::fastcpp, which sees to it"
#include "fastcpp needs C++20"  // not there: the compiler stops here instead of listing what it cannot understand
#endif

#if defined(__GNUC__) || defined(__clang__)
#define FASTCPP_API __attribute__((visibility("default")))
#else
#define FASTCPP_API
#endif
