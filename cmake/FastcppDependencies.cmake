# Everything fastcpp links. What a static build needs again is repeated in fastcppConfig.cmake.in.
# A project that takes this one in links fastcpp in its own folders, so what fastcpp links must be known there too (CMake
# 3.24 or later). The variable itself ends with this folder.
set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL ON)
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(Torch REQUIRED)
# LibTorch's parallel loops are templates: without OpenMP here, those in our files would run in one thread.
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(OpenCV REQUIRED COMPONENTS core imgproc imgcodecs)
find_package(fmt REQUIRED)
# LibTorch as its project publishes it brings fmt's headers of its own, without the library that they need.
set(FASTCPP_FMT fmt::fmt)
foreach(folder ${TORCH_INCLUDE_DIRS})
  if(EXISTS "${folder}/fmt/format.h" AND NOT folder STREQUAL "/usr/include")
    set(FASTCPP_FMT fmt::fmt-header-only)
  endif()
endforeach()
find_package(CURL REQUIRED)
find_package(LibArchive REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(nlohmann_json REQUIRED)
find_package(ZLIB REQUIRED)
find_path(PROTOZERO_INCLUDE_DIR protozero/pbf_writer.hpp REQUIRED) # header files only
pkg_check_modules(CAIRO REQUIRED IMPORTED_TARGET GLOBAL cairo cairo-ft fontconfig)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET GLOBAL libpcre2-8)
pkg_check_modules(PNG REQUIRED IMPORTED_TARGET GLOBAL libpng)
pkg_check_modules(TURBOJPEG REQUIRED IMPORTED_TARGET GLOBAL libturbojpeg)
# For fastcpp::serve and one example only.
find_package(httplib QUIET)
if(TARGET httplib::httplib)
  add_library(fastcpp_httplib ALIAS httplib::httplib)
else()
  pkg_check_modules(HTTPLIB IMPORTED_TARGET GLOBAL cpp-httplib)
  if(TARGET PkgConfig::HTTPLIB)
    add_library(fastcpp_httplib ALIAS PkgConfig::HTTPLIB)
  endif()
endif()
