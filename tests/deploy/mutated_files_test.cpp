// Export files that were damaged, or written to do harm: refused, or read as they were; never with much memory.
#include <torch/types.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <string>

#include "deploy/tiny_model.hpp"
#include "fastcpp/collab/collab_data_bunch.hpp"
#include "fastcpp/collab/collab_learner.hpp"
#include "fastcpp/deploy/load_learner.hpp"
#include "fastcpp/deploy/predictor.hpp"
#include "fastcpp/tabular/tabular_data_bunch.hpp"
#include "fastcpp/tabular/tabular_learner.hpp"
#include "fastcpp/vision/image_list.hpp"
#include "io/zip_file.hpp"
#include "support/catch.hpp"
#include "support/largest_allocation.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

// FASTCPP_MUTATIONS=10000 for a long run.
int mutations() {
  const char* wanted = std::getenv("FASTCPP_MUTATIONS");
  return wanted ? std::atoi(wanted) : 300;
}

class Mutator {
 public:
  std::size_t below(std::size_t size) { return random_() % std::max<std::size_t>(1, size); }

  // Damages `bytes` in the way `i`; `other` is a file of the same kind.
  void damage(std::string& bytes, const std::string& other, int i) {
    if (bytes.empty()) return;
    switch (i % 5) {
      case 0:
        for (int flips = 1 + static_cast<int>(below(4)); flips > 0; --flips) {
          bytes[below(bytes.size())] ^= static_cast<char>(1 << below(8));
        }
        break;
      case 1:
        bytes.resize(below(bytes.size()));
        break;
      case 2:
        bytes.erase(below(bytes.size()), 1 + below(64));
        break;
      case 3:
        bytes.insert(below(bytes.size()),
                     std::string(1 + below(64), static_cast<char>(below(256))));
        break;
      default: {
        const auto from = below(std::min(other.size(), bytes.size()));
        const auto length = std::min({below(4096) + 1, other.size() - from, bytes.size() - from});
        bytes.replace(from, length, other, from, length);
      }
    }
  }

 private:
  std::mt19937 random_{7};
};

// What one reading of a file came to.
struct Outcome {
  Caught error;
  torch::Tensor probabilities;
};

// Reads `file`, checks that this took little memory and, where it is refused, that the message names it. What was packed
// again may be a good file of a model for other samples, which refuses the picture.
template <typename Item>
Outcome read(const Path& file, std::size_t size, const Item& item) {
  Outcome outcome;
  std::size_t largest = 0;
  bool made = false;
  outcome.error = caught([&] {
    const auto predictor = [&] {
      const LargestAllocation watch;
      try {
        Predictor of_file(file);
        largest = watch.bytes();
        made = true;
        return of_file;
      } catch (...) {
        largest = watch.bytes();
        throw;
      }
    }();
    outcome.probabilities = predictor.predict(item).probabilities;
  });
  INFO(outcome.error.code << ' ' << outcome.error.message);
  // What every file takes, however small: texts of messages, tables of the libraries.
  constexpr std::size_t kAlways = 8 << 10;
  if (counts_allocations()) {
    CHECK(largest > 0);  // else nothing was counted
    CHECK(largest <= std::max(4 * size, kAlways));
  }
  CHECK((made || contains(outcome.error.message, "mutated.fastcpp")));
  return outcome;
}

}  // namespace

TEST_CASE("mutated files are refused or predict the same") {
  TempDir dir;
  auto learn = tiny_learner(pictures(dir));
  const auto good = read_file(learn.export_model());
  const auto picture = open_image(get_image_files(dir.path())[0]);
  const auto want = Predictor(dir / "export.fastcpp").predict(picture).probabilities;
  const auto other = read_file(tiny_learner(pictures(dir), 5).export_model("other.fastcpp"));
  Mutator mutator;
  int loaded = 0;
  for (int i = 0; i < mutations(); ++i) {
    auto bytes = good;
    mutator.damage(bytes, other, i);
    write_file(dir / "mutated.fastcpp", bytes);
    INFO(i);
    const auto outcome = read(dir / "mutated.fastcpp", bytes.size(), picture);
    if (!outcome.error.code.empty()) continue;
    CHECK(torch::equal(outcome.probabilities, want));
    ++loaded;
  }
  CHECK(loaded < mutations() / 2);
}

namespace {

// Checksums find what damage does; these files carry the right ones, as those of an attacker would.
template <typename Item>
void change_entries(const Path& one, const Path& another, const Path& file, const Item& item) {
  const auto entries_of = [](const Path& of) {
    const io::FileReader reader(of);
    const io::ZipReader zip(reader);
    std::vector<std::pair<std::string, std::string>> entries;
    for (const auto& entry : zip.entries()) {
      entries.emplace_back(entry.name, zip.read(entry, 1 << 20));
    }
    return entries;
  };
  const auto good = entries_of(one), other = entries_of(another);
  REQUIRE(good.size() == 2);
  REQUIRE(other.size() == 2);
  Mutator mutator;
  int refused = 0;
  for (int i = 0; i < mutations(); ++i) {
    auto entries = good;
    if (i % 11 == 10) {
      // The members of two files, or of one under each other's names.
      if (i % 2) {
        std::swap(entries[0].second, entries[1].second);
      } else {
        entries[mutator.below(2)].second = other[mutator.below(2)].second;
      }
    } else {
      const auto which = mutator.below(2);
      // What the weights are stands at their start.
      auto head = entries[which].second.substr(0, 600);
      const auto rest = entries[which].second.substr(head.size());
      mutator.damage(head, other[which].second, i);
      entries[which].second = head + rest;
    }
    {
      io::AtomicWriter out(file);
      io::ZipWriter zip(out);
      for (const auto& [name, content] : entries) zip.add(name, content.data(), content.size());
      zip.finish();
      out.commit();
    }
    INFO(i);
    refused += !read(file, read_file(file).size(), item).error.code.empty();
  }
  CHECK(refused > mutations() / 2);
}

}  // namespace

TEST_CASE("files whose entries are changed and packed again do no harm") {
  TempDir dir;
  auto learn = tiny_learner(pictures(dir));
  change_entries(learn.export_model(), tiny_learner(pictures(dir), 5).export_model("other.fastcpp"),
                 dir / "mutated.fastcpp", open_image(get_image_files(dir.path())[0]));
}

TEST_CASE("nor do files of tables and ratings") {
  TempDir dir;
  std::string csv = "kind,other,figure\n";
  for (int i = 0; i < 40; ++i) {
    csv += (i % 2 ? "owl," : "hen,") + std::to_string(i % 7) + "," + std::to_string(i % 5) + "\n";
  }
  const auto table = Table::parse_csv(csv);
  const auto of_table = [&](std::int64_t width) {
    return tabular_learner(
        TabularDataBunch::from_df(
            dir.path(), table, "figure", {0, 1},
            {.procs = {tabular::FillMissing(), tabular::Categorify(), tabular::Normalize()},
             .cat_names = {"kind"},
             .bs = 8,
             .device = torch::kCPU}),
        {.layers = {width}, .silent = true});
  };
  const auto row = table.row(3);
  change_entries(of_table(4).export_model("a.fastcpp"), of_table(6).export_model("b.fastcpp"),
                 dir / "mutated.fastcpp", row);
  const auto data = CollabDataBunch::from_df(
      table, {.seed = 1, .path = dir.path(), .bs = 8, .device = torch::kCPU});
  change_entries(collab_learner(data, {.n_factors = 3, .silent = true}).export_model("c.fastcpp"),
                 collab_learner(data, {.use_nn = true, .layers = {4}, .silent = true})
                     .export_model("d.fastcpp"),
                 dir / "mutated.fastcpp", row);
}
