# Takes the sources SOURCE into the project beside this file, in several ways. Configures only: building all of fastcpp a
# second time would show nothing new.
function(configure name)
  file(REMOVE_RECURSE "${FOLDER}/${name}")
  execute_process(
    COMMAND "${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}/add_subdirectory" -B "${FOLDER}/${name}" -G "${GENERATOR}"
      ${OPTIONS} "-DFASTCPP_SOURCE=${SOURCE}" ${ARGN}
    OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# NAME [yes]: whether `cmake --install` would lay down fastcpp.
function(check_installed name)
  file(READ "${FOLDER}/${name}/fastcpp/cmake_install.cmake" rules)
  foreach(word fastcppTargets fastcppConfig include/fastcpp LICENSE)
    string(FIND "${rules}" "${word}" place)
    if(ARGN AND place EQUAL -1)
      message(FATAL_ERROR "${name}: ${word} is not installed")
    elseif(NOT ARGN AND NOT place EQUAL -1)
      message(FATAL_ERROR "${name}: fastcpp installs ${word} with another project")
    endif()
  endforeach()
endfunction()

configure(plain)
check_installed(plain)
file(STRINGS "${FOLDER}/plain/CMakeCache.txt" build_type REGEX "^CMAKE_BUILD_TYPE:")
if(build_type AND NOT build_type MATCHES "=$")
  message(FATAL_ERROR "fastcpp chose its parent's build type: ${build_type}")
endif()
configure(shared -DBUILD_SHARED_LIBS=ON -DCMAKE_BUILD_TYPE=Debug)
check_installed(shared)
configure(own_kind -DBUILD_SHARED_LIBS=ON -DFASTCPP_BUILD_SHARED=OFF -DFASTCPP_INSTALL=ON)
check_installed(own_kind yes)
configure(fetch_content -DFETCH_CONTENT=ON)
check_installed(fetch_content)
