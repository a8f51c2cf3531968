// Python in the program: the readers of other_readers.py, for targets that compare with them. Before every other header,
// as Python asks for.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <optional>
#include <string>
#include <string_view>

#include "fuzz.hpp"

// The interpreter keeps what it has until the program ends.
extern "C" __attribute__((used, visibility("default"))) inline int __lsan_is_turned_off() {
  return 1;
}

namespace fastcpp::fuzz {

class PythonReader {
 public:
  explicit PythonReader(const char* name) {
    PyConfig config;
    PyConfig_InitIsolatedConfig(&config);
    config.write_bytecode = 0;
    Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    PyObject* folder = PyUnicode_FromString(FASTCPP_FUZZ_FOLDER);
    PyList_Insert(PySys_GetObject("path"), 0, folder);
    PyObject* module = PyImport_ImportModule("other_readers");
    function_ = module ? PyObject_GetAttrString(module, name) : nullptr;
    if (!function_) PyErr_Print();
    require(function_ != nullptr, "no reader in Python");
  }

  // What it makes of the bytes; none where it answers None.
  std::optional<std::string> operator()(std::string_view bytes) const {
    PyObject* answer =
        PyObject_CallFunction(function_, "y#", bytes.data(), static_cast<Py_ssize_t>(bytes.size()));
    if (!answer) PyErr_Print();
    require(answer != nullptr, "Python refuses what ours takes");
    std::optional<std::string> text;
    if (answer != Py_None) text = PyUnicode_AsUTF8(answer);
    Py_DECREF(answer);
    return text;
  }

 private:
  PyObject* function_;
};

inline std::string hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    text += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
    text += "0123456789abcdef"[c & 15];
  }
  return text;
}

}  // namespace fastcpp::fuzz
