# How rooms, tests and programs are declared. A room is one folder under src/; it may use the rooms to its left only, and
# its tests are linked from exactly those, so that a wrong arrow does not link.

add_library(fastcpp_flags INTERFACE)
target_compile_features(fastcpp_flags INTERFACE cxx_std_20)
target_include_directories(fastcpp_flags INTERFACE
  "${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}/src")
# -fPIC for programs as well: one precompiled header then serves every target.
target_compile_options(fastcpp_flags INTERFACE -fPIC -fvisibility=hidden -Wall -Wextra -Wpedantic -Wshadow
  $<$<BOOL:${FASTCPP_WERROR}>:-Werror>
  # GCC 12 takes the joining of two strings for an overlapping or endless copy (GCC bug 105651).
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict;-Wno-error=stringop-overflow;-Wno-error=array-bounds>)
# The same sources make the same bytes in any folder. A debugger needs the true names, so they leave debug information on
# request only.
set(_map macro)
if(FASTCPP_REPRODUCIBLE)
  set(_map file)
endif()
target_compile_options(fastcpp_flags INTERFACE
  "-f${_map}-prefix-map=${PROJECT_SOURCE_DIR}/=" "-f${_map}-prefix-map=${PROJECT_BINARY_DIR}/=build/")
# For fuzz programs only: what is shipped is built by a compiler that takes the headers as they are.
if(FASTCPP_FUZZ AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND Torch_VERSION VERSION_LESS 2)
  target_compile_options(fastcpp_flags INTERFACE "SHELL:-include ${PROJECT_SOURCE_DIR}/src/compat/clang_vector.hpp")
endif()
# In a file made of several, GCC takes what each keeps to itself for parts of a header.
if(CMAKE_UNITY_BUILD)
  target_compile_options(fastcpp_flags INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
endif()
# The thread sanitizer does not see how OpenMP's threads wait for each other; there, loops run in one thread.
if(NOT FASTCPP_SANITIZE STREQUAL "thread")
  target_link_libraries(fastcpp_flags INTERFACE OpenMP::OpenMP_CXX)
endif()
if(FASTCPP_SANITIZE)
  # GCC takes what a sanitizer adds for reads of what was never written, in Catch2 and std::regex.
  target_compile_options(fastcpp_flags INTERFACE -fsanitize=${FASTCPP_SANITIZE} -fno-omit-frame-pointer -g1
    $<$<CXX_COMPILER_ID:GNU>:-Wno-error=maybe-uninitialized>)
  target_link_options(fastcpp_flags INTERFACE -fsanitize=${FASTCPP_SANITIZE})
endif()
if(FASTCPP_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "fastcpp: FASTCPP_FUZZ needs clang, whose libFuzzer the programs are linked with: cmake --preset fuzz")
  endif()
  # vptr would want type information that LibTorch and OpenCV hide.
  set(sanitizers -fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=undefined)
  target_compile_options(fastcpp_flags INTERFACE ${sanitizers} -fsanitize=fuzzer-no-link -fno-omit-frame-pointer -g1)
  target_link_options(fastcpp_flags INTERFACE ${sanitizers})
endif()

# The rooms that use tensors share one precompiled header of LibTorch, tests and examples another. At the end of each file GCC
# gives every template of LibTorch that its headers have used, even where the file uses none: 5 s behind torch/torch.h, 3 s behind
# these. What only some files need (layers, losses) they include themselves.
# fastcpp_add_pch(NAME [HEADERS <header>...] [OPTIONS options of the compiler ...])
function(fastcpp_add_pch name)
  if(NOT FASTCPP_PCH)
    return()
  endif()
  cmake_parse_arguments(PCH "" "" "HEADERS;OPTIONS" ${ARGN})
  file(WRITE "${PROJECT_BINARY_DIR}/${name}.cpp" "")
  add_library(${name} OBJECT "${PROJECT_BINARY_DIR}/${name}.cpp")
  target_compile_options(${name} PRIVATE ${PCH_OPTIONS})
  target_link_libraries(${name} PRIVATE fastcpp_flags ${TORCH_LIBRARIES} ${FASTCPP_FMT})
  target_precompile_headers(${name} PRIVATE <torch/types.h> <torch/nn/module.h> <torch/utils.h>
    <fmt/format.h> <filesystem> <functional> <map> <mutex> ${PCH_HEADERS})
endfunction()
fastcpp_add_pch(fastcpp_pch)

# The library is tested as it is released; optimising tests and examples would take a third of their time to compile, and save
# little when they run. A precompiled header serves only the very options that it was made with. With the learner in it each of
# these files takes 3 s less. A change of one of its headers compiles all of them again, but so does nearly every one without it.
set(FASTCPP_PROGRAM_OPTIONS $<$<CONFIG:Release>:-O0>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 13)
  # A reference into a golden file outlives the name that it was asked for with; -O1 follows a variant too little.
  list(APPEND FASTCPP_PROGRAM_OPTIONS -Wno-dangling-reference -Wno-maybe-uninitialized)
endif()
set(FASTCPP_PROGRAM_PCH fastcpp_program_pch)
if(FASTCPP_BUILD_TESTS OR FASTCPP_BUILD_EXAMPLES)
  fastcpp_add_pch(${FASTCPP_PROGRAM_PCH} HEADERS <fastcpp/train/learner.hpp> OPTIONS ${FASTCPP_PROGRAM_OPTIONS})
endif()

# Whether a file includes LibTorch, itself or through headers of ours.
function(_fastcpp_includes_torch out file)
  get_property(known GLOBAL PROPERTY _FASTCPP_INCLUDES_TORCH_${file})
  if("${known}" STREQUAL "")
    set(known OFF)
    file(STRINGS "${file}" lines REGEX "^#include ")
    get_filename_component(folder "${file}" DIRECTORY)
    foreach(line ${lines})
      if(line MATCHES "<(torch|ATen|c10)/")
        set(known ON)
        break()
      endif()
      string(REGEX REPLACE "^#include [<\"](.*)[>\"].*" "\\1" included "${line}")
      foreach(root "${folder}" "${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}/tests")
        if(EXISTS "${root}/${included}")
          get_filename_component(path "${root}/${included}" ABSOLUTE)
          _fastcpp_includes_torch(known "${path}")
          break()
        endif()
      endforeach()
      if(known)
        break()
      endif()
    endforeach()
    set_property(GLOBAL PROPERTY _FASTCPP_INCLUDES_TORCH_${file} ${known})
  endif()
  set(${out} ${known} PARENT_SCOPE)
endfunction()

# Loading it takes longer than compiling a file without LibTorch, so only files that include LibTorch get it, and of targets whose
# files are compiled together those that have such a file. The last argument names another one.
function(_fastcpp_use_pch target)
  set(pch fastcpp_pch)
  if(ARGN)
    set(pch ${ARGN})
  endif()
  if(NOT FASTCPP_PCH)
    return()
  endif()
  get_target_property(sources ${target} SOURCES)
  list(FILTER sources INCLUDE REGEX "\\.cpp$")
  set(without)
  foreach(source ${sources})
    get_filename_component(path "${source}" ABSOLUTE)
    _fastcpp_includes_torch(torch "${path}")
    if(NOT torch)
      list(APPEND without "${source}")
    endif()
  endforeach()
  if(NOT without STREQUAL sources)
    target_precompile_headers(${target} REUSE_FROM ${pch})
    # The header holds fmt; a program that does not link fmt must compile like those that do.
    target_compile_definitions(${target} PRIVATE $<TARGET_PROPERTY:${FASTCPP_FMT},INTERFACE_COMPILE_DEFINITIONS>)
    if(without AND NOT CMAKE_UNITY_BUILD)
      set_source_files_properties(${without} PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
    endif()
  endif()
endfunction()

# For sources that show operations by LibTorch's record_function.h: packaged LibTorch is built with NDEBUG, and without it the class
# of that header declares one member more than the library knows. A release has NDEBUG everywhere, unless its flags were changed.
function(fastcpp_needs_ndebug)
  if(NOT (CMAKE_BUILD_TYPE STREQUAL "Release" AND CMAKE_CXX_FLAGS_RELEASE MATCHES "-DNDEBUG"))
    set_source_files_properties(${ARGN} PROPERTIES COMPILE_DEFINITIONS NDEBUG SKIP_PRECOMPILE_HEADERS ON)
  endif()
endfunction()

# fastcpp_add_room(NAME [TORCH] SOURCES ... [USES rooms...] [LINK libraries...])
function(fastcpp_add_room name)
  cmake_parse_arguments(ROOM "TORCH" "" "SOURCES;USES;LINK" ${ARGN})
  set(target fastcpp_${name})
  add_library(${target} OBJECT ${ROOM_SOURCES})
  set(rooms ${ROOM_USES})
  foreach(used ${ROOM_USES})
    get_property(more GLOBAL PROPERTY FASTCPP_ROOMS_OF_${used})
    list(APPEND rooms ${more})
  endforeach()
  list(REMOVE_DUPLICATES rooms)
  set_property(GLOBAL PROPERTY FASTCPP_ROOMS_OF_${name} "${rooms}")
  set_property(GLOBAL APPEND PROPERTY FASTCPP_ROOMS ${name})
  set(libraries ${ROOM_LINK} ${FASTCPP_FMT} Threads::Threads)
  if(ROOM_TORCH)
    list(APPEND libraries ${TORCH_LIBRARIES})
    _fastcpp_use_pch(${target})
    set_property(GLOBAL PROPERTY FASTCPP_ROOM_TORCH_${name} ON)
  endif()
  set_property(GLOBAL PROPERTY FASTCPP_LIBRARIES_OF_${name} "${libraries}")
  target_link_libraries(${target} PRIVATE fastcpp_flags ${libraries})
endfunction()

# Links the objects of a room, and of all rooms it uses, into a target.
function(fastcpp_link_rooms target)
  set(rooms)
  foreach(name ${ARGN})
    get_property(more GLOBAL PROPERTY FASTCPP_ROOMS_OF_${name})
    list(APPEND rooms ${name} ${more})
  endforeach()
  list(REMOVE_DUPLICATES rooms)
  foreach(name ${rooms})
    get_property(libraries GLOBAL PROPERTY FASTCPP_LIBRARIES_OF_${name})
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:fastcpp_${name}>)
    target_link_libraries(${target} PRIVATE ${libraries})
  endforeach()
endfunction()
