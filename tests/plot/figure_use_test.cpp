// Figures under use: copies and moves, threads, full disks, want of memory, odd names, locales.
#include "fastcpp/plot/figure.hpp"

#include <sys/resource.h>

#include <clocale>
#include <csignal>
#include <filesystem>
#include <locale>
#include <optional>
#include <thread>

#include "fastcpp/core/path.hpp"
#include "plot/plot_support.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
using plot_detail::layout_of;

TEST_CASE("a handle outlives its figure, and survives being moved from") {
  std::optional<Axes> axes;
  {
    Figure figure;
    axes = figure.axes();
  }
  axes->plot({0, 1}, {0, 1}).title("alone");
  Figure figure = losses();
  Figure other = std::move(figure);
  CHECK(figure.png() == other.png());
  Axes first = other.axes(), second = std::move(first);
  first.title("still there");
  CHECK(count_texts(layout_of(other), "still there") == 1);
}

TEST_CASE("a figure is drawn by several threads at once") {
  const Figure figure = losses();
  const std::string png = figure.png(), svg = figure.svg();
  std::vector<std::string> pngs(4), svgs(4);
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      pngs[i] = figure.png();
      svgs[i] = figure.svg();
    });
  }
  threads.clear();
  CHECK(pngs == std::vector(4, png));
  CHECK(svgs == std::vector(4, svg));
}

TEST_CASE("a figure that does not fit the disk") {
  const TempDir folder;
  write_file(folder / "a.png", "old");
  const Figure figure = losses();
  figure.png();
  const auto result = in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1000, 1000};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 98;
    const auto error = caught([&] { figure.save(folder / "a.png"); });
    const bool told = error.message.find("a.png") != std::string::npos;
    return error.code == "io.cannot_write" && told ? 0 : 1;
  });
  CHECK(result.status == 0);
  CHECK(read_file(folder / "a.png") == "old");
  CHECK(ls(folder.path()).size() == 1);
}

TEST_CASE("a figure too large for the memory") {
  if (kSanitized) return;  // they have limits of their own
  const Figure figure({.width = 300, .height = 300, .dpi = 100});
  const auto result = in_child([&] {
    const rlimit limit{1u << 30, 1u << 30};
    if (::setrlimit(RLIMIT_AS, &limit) != 0) return 98;
    return caught([&] { figure.png(); }).code == "train.out_of_memory" ? 0 : 1;
  });
  CHECK(result.status == 0);
}

TEST_CASE("files of any name") {
  const TempDir folder;
  const Figure figure = losses();
  for (const char* name : {"a\xff\xfe.png", "with blank [1].svg", "猫.png"}) {
    figure.save(folder / name);
    CHECK(std::filesystem::file_size(folder / name) > 100);
  }
}

TEST_CASE("the locale does not matter") {
  struct Comma : std::numpunct<char> {
    char do_decimal_point() const override { return ','; }
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\3"; }
  };
  const auto drawn = [] {
    Figure figure;
    figure.axes().plot({0, 2000}, {0.001, 0.1}).xtick_format("{:.1f}");
    return figure.png() + figure.svg();
  };
  const std::string expected = drawn();
  const auto former = std::locale::global(std::locale(std::locale(), new Comma));
  for (const char* name : {"de_DE.UTF-8", "tr_TR.UTF-8"}) {
    std::setlocale(LC_ALL, name);  // where the system has it
    CHECK(drawn() == expected);
  }
  std::locale::global(former);
  std::setlocale(LC_ALL, "C");
}
