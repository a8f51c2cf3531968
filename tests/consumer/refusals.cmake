# Configures the project in refusals/, which fails where fastcpp is accepted; then once as a user would see it.
file(REMOVE_RECURSE "${FOLDER}")
set(command "${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}/refusals" -B "${FOLDER}" -G "${GENERATOR}" ${OPTIONS}
  "-DFASTCPP=${FASTCPP}" "-DVERSION=${VERSION}" "-DABI=${ABI}")
execute_process(COMMAND ${command} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${command} -DREQUIRE=ON RESULT_VARIABLE status OUTPUT_QUIET ERROR_VARIABLE message)
string(REGEX REPLACE "[ \n]+" " " message "${message}") # CMake breaks the lines
if(status EQUAL 0 OR NOT message MATCHES "fastcpp was built with LibTorch ${VERSION}, and [^ ]+ is LibTorch 99\\.1\\.2")
  message(SEND_ERROR "find_package(fastcpp REQUIRED) does not say what is wrong: ${message}")
endif()
