// Tests may be chosen by their file, as [#name], without an option: when tests are discovered, Catch2 v3 passes on one word.
#ifdef FASTCPP_CATCH2_V3
#include <catch2/catch_session.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif

int main(int argc, char** argv) {
  Catch::Session session;
  session.configData().filenamesAsTags = true;
  return session.run(argc, argv);
}
