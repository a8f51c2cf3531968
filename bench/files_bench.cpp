// Weights, lists of files, and the start of a program.
//
//   files_bench --first-batch    makes a bunch of 370 pictures and its first batch (for the row)
//   files_bench --nothing        starts and ends (for the same row)
#include <torch/types.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>

#include <fcntl.h>
#include <unistd.h>

#include "fastcpp/vision.hpp"
#include "pictures.hpp"
#include "ratio.hpp"

using namespace fastcpp;

namespace {

Path folder() {
  const auto path = std::filesystem::temp_directory_path() / "fastcpp-bench-files";
  make_folder(path);
  return path;
}

double read_into_memory(const Path& file) {
  return bench::seconds([&] {
    const auto size = std::filesystem::file_size(file);
    const auto memory = torch::empty({static_cast<std::int64_t>(size)}, torch::kUInt8);
    std::ifstream in(file, std::ios::binary);
    in.read(static_cast<char*>(memory.data_ptr()), static_cast<std::streamsize>(size));
    benchmark::DoNotOptimize(memory.data_ptr());
  });
}

Path weights(const char* extension) {
  const auto file = folder() / (std::string("resnet34") + extension);
  const auto model = models::resnet34.make(1000);
  models::resnet34.init(*model, 1);
  const auto state = state_dict(*model);
  if (std::strcmp(extension, ".pth") == 0) {
    save_checkpoint(file, to_value(state));
  } else {
    save_safetensors(file, state);
  }
  return file;
}

void load_pth_over_reading_the_file(benchmark::State& state) {
  const auto file = weights(".pth");
  bench::ratio(
      state, [&] { return bench::seconds([&] { load_checkpoint(file); }); },
      [&] { return read_into_memory(file); }, 15);
}
FASTCPP_ROW(load_pth_over_reading_the_file);

void load_safetensors_over_reading_the_file(benchmark::State& state) {
  const auto file = weights(".safetensors");
  bench::ratio(
      state, [&] { return bench::seconds([&] { load_safetensors(file); }); },
      [&] { return read_into_memory(file); }, 15);
}
FASTCPP_ROW(load_safetensors_over_reading_the_file);

void save_pth_over_writing_the_file(benchmark::State& state) {
  const auto model = models::resnet34.make(1000);
  models::resnet34.init(*model, 1);
  const auto weights = to_value(state_dict(*model));
  const auto file = folder() / "saved.pth", copy = folder() / "written";
  save_checkpoint(file, weights);
  const auto bytes = read_file(file);
  bench::ratio(
      state, [&] { return bench::seconds([&] { save_checkpoint(file, weights); }); },
      [&] {
        return bench::seconds([&] {
          std::ofstream(copy, std::ios::binary)
              .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        });
      },
      9);
}
FASTCPP_ROW(save_pth_over_writing_the_file);

double resident_mb() {
  std::ifstream statm("/proc/self/statm");
  long pages = 0, resident = 0;
  statm >> pages >> resident;
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1048576;
}

// A million empty files; seconds and memory of listing and labelling, once.
void list_and_label_a_million(benchmark::State& state) {
  const auto root = folder() / "million";
  std::filesystem::remove_all(root);
  for (int d = 0; d < 1000; ++d) {
    const auto sub = root / ("breed_" + std::to_string(d));
    std::filesystem::create_directories(sub);
    const int dir = ::open(sub.c_str(), O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < 1000; ++i) {
      const auto name = "breed_" + std::to_string(d) + "_" + std::to_string(i) + ".jpg";
      ::close(::openat(dir, name.c_str(), O_WRONLY | O_CREAT, 0644));
    }
    ::close(dir);
  }
  for (auto _ : state) {
    const double before = resident_mb();
    std::vector<Path> files;
    std::vector<std::string> labels;
    const double list = bench::seconds([&] { files = get_image_files(root, {.recurse = true}); });
    const double label =
        bench::seconds([&] { labels = label_from_re(files, R"(/([^/]+)_\d+.jpg$)"); });
    state.SetIterationTime(list + label);
    state.counters["list_s"] = list;
    state.counters["label_s"] = label;
    state.counters["files"] = static_cast<double>(labels.size());
    state.counters["memory_mb"] = resident_mb() - before;
  }
  std::filesystem::remove_all(root);
}
FASTCPP_ROW(list_and_label_a_million);

// A million rows of a name, a label and a number; beside it the bytes read and the ends of lines counted.
void read_csv_over_counting_its_lines(benchmark::State& state) {
  const auto file = folder() / "labels.csv";
  std::string text = "name,label,size\n";
  for (int i = 0; i < 1000000; ++i) {
    text += "train/breed_" + std::to_string(i % 37) + "/picture_" + std::to_string(i) + ".jpg," +
            std::to_string(i % 37) + "," + std::to_string(i * 0.25) + "\n";
  }
  write_file(file, text);
  std::string().swap(text);
  const double before = resident_mb();
  double memory = 0;
  bench::ratio(
      state,
      [&] {
        Table table;
        const double seconds = bench::seconds([&] { table = Table::read_csv(file); });
        if (table.rows() != 1000000) std::abort();
        memory = std::max(memory, resident_mb() - before);
        return seconds;
      },
      [&] {
        return bench::seconds([&] {
          const auto bytes = read_file(file);
          benchmark::DoNotOptimize(std::count(bytes.begin(), bytes.end(), '\n'));
        });
      });
  state.counters["memory_mb"] = memory;
}
FASTCPP_ROW(read_csv_over_counting_its_lines);

// The same table as labels: read, split and made into targets; seconds and memory, once.
void label_a_million_rows(benchmark::State& state) {
  const auto root = folder();
  std::string text = "name,label\n";
  for (int i = 0; i < 1000000; ++i) {
    text += "train/breed_" + std::to_string(i % 37) + "/picture_" + std::to_string(i) +
            ".jpg,breed_" + std::to_string(i % 37) + "\n";
  }
  write_file(root / "names.csv", text);
  std::string().swap(text);
  for (auto _ : state) {
    const double before = resident_mb();
    const double seconds = bench::seconds([&] {
      const auto lists =
          ImageList::from_csv(root, "names.csv").split_by_rand_pct(0.2, 42).label_from_df();
      if (lists.train().size() + lists.valid().size() != 1000000) std::abort();
      state.counters["memory_mb"] = resident_mb() - before;
    });
    state.SetIterationTime(seconds);
  }
}
FASTCPP_ROW(label_a_million_rows);

std::string g_program;

ImageDataBunch pets() {
  return ImageDataBunch::from_name_func("/tmp", bench::pictures(370),
                                        [](const Path&) { return std::string("picture"); },
                                        {.ds_tfms = get_transforms(),
                                         .size = 224,
                                         .num_workers = 2,
                                         .device = torch::kCPU,
                                         .seed = 1});
}

// Both times are of whole things: a process from its start, and the decoding of a batch by two
// threads.
void start_to_first_batch_over_bare_decoding(benchmark::State& state) {
  const auto files = bench::pictures(64);
  const auto run = [](const char* option) {
    const auto command = "'" + g_program + "' " + option + " 2>/dev/null";
    return bench::seconds([&] {
      if (std::system(command.c_str()) != 0) std::abort();
    });
  };
  const auto decode = [&](std::size_t from, std::size_t to) {
    for (auto i = from; i < to; ++i) benchmark::DoNotOptimize(decode_image(files[i]).data);
  };
  bench::ratio(
      state, [&] { return run("--first-batch"); },
      [&] {
        return bench::seconds([&] {
          std::jthread other([&] { decode(0, 32); });
          decode(32, 64);
        });
      });
  state.counters["beyond_decoding_s"] =
      state.counters["ours_s"].value - state.counters["limit_s"].value;
  // What it takes to get as far as main: the loading of LibTorch, mostly.
  std::vector<double> loading;
  for (int i = 0; i < 5; ++i) loading.push_back(run("--nothing"));
  state.counters["libraries_s"] = bench::median(loading);
}
FASTCPP_ROW(start_to_first_batch_over_bare_decoding);

int first_batch() {
  const auto data = pets();
  auto pass = data.train_dl().pass();
  const auto batch = pass.next();
  // The rest of the pass is not what is measured.
  std::fflush(nullptr);
  ::_exit(batch && batch->x.size(0) == 64 ? 0 : 1);
}

}  // namespace

int main(int argc, char** argv) {
  set_threads(1);
  if (argc == 2 && std::strcmp(argv[1], "--first-batch") == 0) return first_batch();
  if (argc == 2 && std::strcmp(argv[1], "--nothing") == 0) ::_exit(0);
  g_program = std::filesystem::read_symlink("/proc/self/exe").string();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
