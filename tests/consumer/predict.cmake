# The program PREDICT, which links fastcpp::predict alone, on a model that the test program EXPORT writes into FOLDER.
file(REMOVE_RECURSE "${FOLDER}")
file(MAKE_DIRECTORY "${FOLDER}")
execute_process(
  COMMAND "${CMAKE_COMMAND}" -E env "FASTCPP_WRITE_TO=${FOLDER}" "${EXPORT}" "writes a model for another process"
  OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
execute_process(
  COMMAND "${PREDICT}" model.fastcpp picture.png
  WORKING_DIRECTORY "${FOLDER}" OUTPUT_VARIABLE found COMMAND_ERROR_IS_FATAL ANY)
file(READ "${FOLDER}/expected.txt" expected)
if(NOT found STREQUAL expected)
  message(SEND_ERROR "another process predicts\n${found}\nexpected\n${expected}")
endif()

execute_process(COMMAND "${PREDICT}" missing.fastcpp picture.png
  WORKING_DIRECTORY "${FOLDER}" RESULT_VARIABLE status ERROR_VARIABLE message)
if(NOT status EQUAL 1 OR NOT message MATCHES "missing.fastcpp")
  message(SEND_ERROR "a missing model ends with ${status}: ${message}")
endif()

# What the program itself asks the loader for.
find_program(READELF readelf)
if(READELF)
  execute_process(COMMAND "${READELF}" -d "${PREDICT}" OUTPUT_VARIABLE needed COMMAND_ERROR_IS_FATAL ANY)
  foreach(library curl archive cairo pcre2 crypto fontconfig)
    if(needed MATCHES "NEEDED[^\n]*lib${library}")
      message(SEND_ERROR "fastcpp::predict links lib${library}:\n${needed}")
    endif()
  endforeach()
endif()
