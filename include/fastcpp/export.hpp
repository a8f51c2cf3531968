/// \file
/// FASTCPP_API marks what a shared build exports; everything else stays hidden.
#pragma once

#if defined(__GNUC__) || defined(__clang__)
#define FASTCPP_API __attribute__((visibility("default")))
#else
#define FASTCPP_API
#endif
