#include "fastcpp/train/threads.hpp"

#include <dlfcn.h>

#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

TEST_CASE("the number of compute threads reaches LibTorch and OpenBLAS") {
  const int before = get_threads();
  const auto ask = [](const char* what) {
    return reinterpret_cast<int (*)()>(::dlsym(RTLD_DEFAULT, what));
  };
  const auto parallel = ask("openblas_get_parallel"), openblas = ask("openblas_get_num_threads");
  for (const int threads : {2, 1}) {
    set_threads(threads);
    CHECK(get_threads() == threads);
    if (parallel && parallel() != 0) {
      CHECK(openblas() == threads);
    } else {
      WARN("skipped: LibTorch is not linked with an OpenBLAS of several threads");
    }
  }
  set_threads(before);
}

TEST_CASE("no compute thread at all is refused") {
  const int before = get_threads();
  CHECK(caught([] { set_threads(0); }).code == "value.threads");
  CHECK(get_threads() == before);
}
