#include "fastcpp/train/threads.hpp"

#include <ATen/Parallel.h>
#include <dlfcn.h>

#include <filesystem>
#include <iterator>

#include "support/catch.hpp"
#include "support/child.hpp"
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

TEST_CASE("setting the number starts no more threads than LibTorch does", "[skips]") {
  const auto running_after = [](void (*set)(int)) {
    const auto child = in_child([&] {
      set(2);
      const std::filesystem::directory_iterator tasks("/proc/self/task");
      return static_cast<int>(std::distance(begin(tasks), end(tasks)));
    });
    return WEXITSTATUS(child.status);
  };
  const auto parallel = reinterpret_cast<int (*)()>(::dlsym(RTLD_DEFAULT, "openblas_get_parallel"));
  if (parallel && parallel() == 1) return skip("OpenBLAS has threads of its own here");
  CHECK(running_after([](int n) { set_threads(n); }) ==
        running_after([](int n) { at::set_num_threads(n); }));
}

TEST_CASE("numbers of threads that cannot be are refused") {
  const int before = get_threads();
  for (const int threads : {0, -1, 1'000'000}) {
    const auto error = caught([&] { set_threads(threads); });
    CHECK(error.code == "value.threads");
    CHECK(error.message.find(std::to_string(threads)) != std::string::npos);
  }
  CHECK(get_threads() == before);
}
