# Compiled as C++17, the headers say in one sentence what they need, and nothing else.
file(WRITE "${FOLDER}/cxx17.cpp" "#include <fastcpp/vision.hpp>\n")
execute_process(
  COMMAND "${COMPILER}" -std=c++17 -fsyntax-only "-I${ROOT}/include" "${FOLDER}/cxx17.cpp"
  RESULT_VARIABLE status ERROR_VARIABLE output)
if(status EQUAL 0 OR NOT output MATCHES "error: [^\n]*fastcpp needs C\\+\\+20: compile with -std=c\\+\\+20")
  message(SEND_ERROR "a C++17 compiler is not told that fastcpp needs C++20:\n${output}")
endif()
string(REGEX MATCHALL "error: [^\n]*" errors "${output}")
list(FILTER errors EXCLUDE REGEX "fastcpp needs C\\+\\+20")
if(errors)
  message(SEND_ERROR "a C++17 compiler says more than that:\n${output}")
endif()

# Whichever header comes first leads to export.hpp, where the sentence stands: each includes another one.
file(GLOB_RECURSE headers "${ROOT}/include/fastcpp/*.hpp")
foreach(header ${headers})
  file(READ "${header}" text)
  if(NOT header MATCHES "/(export|version)\\.hpp$" AND NOT text MATCHES "#include \"fastcpp/")
    message(SEND_ERROR "${header} does not lead to fastcpp/export.hpp; include it")
  endif()
endforeach()
