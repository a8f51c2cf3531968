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

# One beside it answers over HTTP, where fastcpp was built with that; without a model it says so.
if(EXISTS "${SERVE}")
  execute_process(COMMAND "${SERVE}" missing.fastcpp 0
    WORKING_DIRECTORY "${FOLDER}" RESULT_VARIABLE status ERROR_VARIABLE message TIMEOUT 60)
  if(NOT status EQUAL 1 OR NOT message MATCHES "missing.fastcpp")
    message(SEND_ERROR "a server without a model ends with ${status}: ${message}")
  endif()
endif()

# What the programs themselves ask the loader for.
find_program(READELF readelf)
if(READELF)
  set(programs "${PREDICT}")
  if(EXISTS "${SERVE}")
    list(APPEND programs "${SERVE}")
  endif()
  foreach(program ${programs})
    execute_process(COMMAND "${READELF}" -d "${program}" OUTPUT_VARIABLE needed COMMAND_ERROR_IS_FATAL ANY)
    foreach(library curl archive cairo pcre2 crypto fontconfig)
      if(needed MATCHES "NEEDED[^\n]*lib${library}")
        message(SEND_ERROR "${program} links lib${library}:\n${needed}")
      endif()
    endforeach()
  endforeach()
endif()
