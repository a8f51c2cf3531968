# Installs the build folder BUILD into PREFIX, emptied before: a header that is no longer installed must be missed.
file(REMOVE_RECURSE "${PREFIX}")
execute_process(
  COMMAND "${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${PREFIX}" --config "${CONFIG}"
  COMMAND_ERROR_IS_FATAL ANY)

file(GLOB_RECURSE targets "${PREFIX}/*/fastcppTargets*.cmake")
if(NOT targets)
  message(FATAL_ERROR "no fastcppTargets.cmake under ${PREFIX}")
endif()
foreach(file ${targets})
  file(READ "${file}" text)
  foreach(word fastcpp_flags nlohmann libc10 "${BUILD}")
    string(FIND "${text}" "${word}" place)
    if(NOT place EQUAL -1)
      message(FATAL_ERROR "${file} names ${word}, which belongs to this build only")
    endif()
  endforeach()
endforeach()
