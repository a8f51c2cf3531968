#include "fastcpp/data/paths.hpp"

#include <algorithm>
#include <iterator>
#include <vector>

#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using test::caught;

static_assert(std::random_access_iterator<Paths::iterator>);

TEST_CASE("Paths read like a vector of paths") {
  const std::vector<Path> files{"a/1.png", "", "b b/\xc3\xa4.jpg", "/c"};
  const Paths paths(files);
  CHECK(paths.size() == 4);
  CHECK(paths[2] == files[2]);
  CHECK(paths.text(1).empty());
  CHECK(paths.front() == files.front());
  CHECK(paths.back() == files.back());
  CHECK(paths == files);
  CHECK(paths.to_vector() == files);
  CHECK(std::equal(paths.begin(), paths.end(), files.begin(), files.end()));
  CHECK(paths.begin()[3] == "/c");
  CHECK(paths.end() - paths.begin() == 4);
  CHECK(std::count(paths.begin(), paths.end(), Path("/c")) == 1);
  CHECK(Paths{"a", "b"} != Paths{"ab", ""});
  CHECK(Paths().empty());
}

TEST_CASE("Paths grow, shrink and are chosen from") {
  Paths paths{"a", "bc"};
  paths.push_back("d/e");
  paths.push_back_text("d/", std::string("f"), ".png");
  CHECK(paths == Paths{"a", "bc", "d/e", "d/f.png"});
  paths.pop_back();
  paths.append({"x", "y"});
  CHECK(paths == Paths{"a", "bc", "d/e", "x", "y"});
  paths.append(paths);
  CHECK(paths.size() == 10);
  CHECK(paths.take({9, 1, 1, 5}) == Paths{"y", "bc", "bc", "a"});
  CHECK(paths.take({}).empty());
}

TEST_CASE("Paths that are not there are refused") {
  const Paths paths{"a", "b"};
  CHECK(caught([&] { paths.at(2); }).code == "value.index");
  CHECK(caught([&] { paths.take({0, 2}); }).code == "value.index");
  CHECK(caught([&] { paths.take({-1}); }).code == "value.index");
  CHECK(caught([&] { Paths().pop_back(); }).code == "value.index");
  CHECK(caught([&] { Paths().back(); }).code == "value.index");
}
