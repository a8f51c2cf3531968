# The .pc files below PREFIX, moved to FOLDER before: valid, and enough to compile, link and run with COMPILER and FLAGS. The
# program takes in the whole library, so that whatever pkg-config forgets is missed by the linker.
cmake_minimum_required(VERSION 3.22)
file(REMOVE_RECURSE "${FOLDER}")
file(MAKE_DIRECTORY "${FOLDER}")
file(GLOB parts "${PREFIX}/include" "${PREFIX}/lib*")
file(COPY ${parts} DESTINATION "${FOLDER}/moved")
file(GLOB_RECURSE found "${FOLDER}/moved/*.pc")
list(LENGTH found count)
if(NOT count EQUAL 2)
  message(FATAL_ERROR "expected two .pc files, found ${found}")
endif()
list(GET found 0 file)
get_filename_component(where "${file}" DIRECTORY)
get_filename_component(libraries "${where}" DIRECTORY)
set(ENV{PKG_CONFIG_PATH} "${where}")

function(ask out package)
  execute_process(COMMAND "${PKG_CONFIG}" ${ARGN} ${package}
    OUTPUT_VARIABLE answer OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  set(${out} "${answer}" PARENT_SCOPE)
endfunction()

file(WRITE "${FOLDER}/main.cpp" "#include <cstdio>
#include <fastcpp/core/error.hpp>
#include <fastcpp/version.hpp>
namespace fastcpp::inline v0 {
extern const int version[3];
}
int main() {
  try {
    throw fastcpp::Error(\"core.test\", \"thrown\");
  } catch (const fastcpp::Error& error) {
    std::printf(\"%d.%d.%d %s\", fastcpp::version[0], fastcpp::version[1], fastcpp::version[2], error.what());
  }
}
")
foreach(package fastcpp fastcpp-predict)
  string(REPLACE "-" "_" library "${package}")
  ask(ignored ${package} --validate)
  ask(version ${package} --modversion)
  if(NOT version STREQUAL VERSION)
    message(SEND_ERROR "${package}: version ${version}, expected ${VERSION}")
  endif()
  ask(cflags ${package} --cflags)
  ask(libs ${package} --libs)
  foreach(flag "-I[^ ]*/include " "-D_GLIBCXX_USE_CXX11_ABI=[01]")
    if(NOT "${cflags} " MATCHES "${flag}")
      message(SEND_ERROR "${package}: ${flag} is not among the flags ${cflags}")
    endif()
  endforeach()
  if("${cflags} ${libs}" MATCHES "${PREFIX}/")
    message(SEND_ERROR "${package} names the folder that it was installed to: ${cflags} ${libs}")
  endif()
  if(package STREQUAL "fastcpp-predict" AND libs MATCHES "curl|archive|cairo|pcre2|crypto")
    message(SEND_ERROR "${package} links what only fastcpp needs: ${libs}")
  endif()
  separate_arguments(cflags UNIX_COMMAND "${FLAGS} ${cflags}")
  separate_arguments(libs)
  execute_process(
    COMMAND "${COMPILER}" -std=c++20 "${FOLDER}/main.cpp" -o "${FOLDER}/${package}" ${cflags}
      "-L${libraries}" -Wl,--whole-archive -l${library} -Wl,--no-whole-archive ${libs} "-Wl,-rpath,${libraries}"
    COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND "${FOLDER}/${package}" OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
  if(NOT output STREQUAL "${VERSION} thrown")
    message(SEND_ERROR "${package}: a program says \"${output}\", expected \"${VERSION} thrown\"")
  endif()
endforeach()
