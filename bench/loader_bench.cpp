// Pictures into batches, beside the bare work on the same files.
#include <torch/types.h>
#include <turbojpeg.h>

#include <map>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <optional>

#include "fastcpp/vision.hpp"
#include "pictures.hpp"
#include "ratio.hpp"

using namespace fastcpp;

namespace {

constexpr std::size_t kPictures = 512;
constexpr int kSide = 224;

const std::vector<Path>& files() {
  static const auto all = bench::pictures(kPictures);
  return all;
}

// libjpeg-turbo by itself.
cv::Mat decode(tjhandle decoder, const Path& file) {
  const auto bytes = read_file(file);
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  int cols = 0, rows = 0, sampling = 0, colours = 0;
  tjDecompressHeader3(decoder, data, bytes.size(), &cols, &rows, &sampling, &colours);
  cv::Mat picture(rows, cols, CV_8UC3);
  tjDecompress2(decoder, data, bytes.size(), picture.data, cols, static_cast<int>(picture.step[0]),
                rows, TJPF_RGB, 0);
  return picture;
}

// What nobody can avoid: decode, one warp, normalise into planes. One thread.
template <typename Decode>
double bare_loop_of(const std::vector<Path>& pictures, const Decode& decode) {
  return bench::seconds([&] {
    cv::Mat warped, floats;
    const auto slot = torch::empty({3, kSide, kSide});
    for (const auto& file : pictures) {
      const cv::Mat picture = decode(file);
      const double scale = std::min(picture.rows, picture.cols) / double(kSide);
      const cv::Matx23d m(scale * 0.995, scale * 0.087, 3, -scale * 0.087, scale * 0.995, 20);
      cv::warpAffine(picture, warped, m, {kSide, kSide}, cv::INTER_LINEAR | cv::WARP_INVERSE_MAP,
                     cv::BORDER_REFLECT_101);
      warped.convertTo(floats, CV_32FC3, 1 / 255.0);
      cv::Mat planes[3];
      for (int c = 0; c < 3; ++c) {
        planes[c] = cv::Mat(kSide, kSide, CV_32F, slot[c].data_ptr<float>());
      }
      cv::split(floats, planes);
      for (auto& plane : planes) plane = (plane - 0.45) * (1 / 0.225);
      benchmark::DoNotOptimize(slot.data_ptr<float>());
    }
  });
}

double bare_loop() {
  const auto decoder = tjInitDecompress();
  const double result =
      bare_loop_of(files(), [&](const Path& file) { return decode(decoder, file); });
  tjDestroy(decoder);
  return result;
}

double bare_decode() {
  return bench::seconds([] {
    const auto decoder = tjInitDecompress();
    for (const auto& file : files()) benchmark::DoNotOptimize(decode(decoder, file).data);
    tjDestroy(decoder);
  });
}

double opencv_decode() {
  return bench::seconds([] {
    for (const auto& file : files()) {
      benchmark::DoNotOptimize(cv::imread(file.string(), cv::IMREAD_COLOR).data);
    }
  });
}

ImageDataBunch bunch_of(const Paths& items, int workers, std::size_t cache_bytes = 0,
                        bool scaled = false) {
  LabelLists lists;
  lists.train = {items, std::vector<std::int64_t>(items.size(), 0), {"picture"}};
  lists.valid = lists.train;
  return ImageDataBunch::create_from_ll(lists, "/tmp",
                                        {.ds_tfms = get_transforms(),
                                         .size = kSide,
                                         .bs = 64,
                                         .num_workers = workers,
                                         .device = torch::kCPU,
                                         .seed = 1,
                                         .cache_bytes = cache_bytes,
                                         .scaled_decode = scaled})
      .normalize(imagenet_stats);
}

ImageDataBunch bunch(int workers, std::size_t cache_bytes = 0, bool scaled = false) {
  return bunch_of(files(), workers, cache_bytes, scaled);
}

double epoch(const ImageDataBunch& data) {
  return bench::seconds([&] {
    for (auto& batch : data.train_dl()) benchmark::DoNotOptimize(batch.x.data_ptr());
  });
}

void decode_of_bare_loop(benchmark::State& state) {
  bench::ratio(state, bare_decode, bare_loop);
}
FASTCPP_ROW(decode_of_bare_loop);

void bare_decode_over_opencv(benchmark::State& state) {
  bench::ratio(state, bare_decode, opencv_decode);
}
FASTCPP_ROW(bare_decode_over_opencv);

void loader_1_worker_over_bare_loop(benchmark::State& state) {
  const auto data = bunch(1);
  epoch(data);
  bench::ratio(
      state, [&] { return epoch(data); }, bare_loop);
}
FASTCPP_ROW(loader_1_worker_over_bare_loop);

// The first pictures again in a format that is not the usual one. libjpeg-turbo and OpenCV write and read them.
struct Format {
  const char* name;
  const char* extension;
  int sampling = TJSAMP_420, flags = 0;
  bool cmyk = false;
};
constexpr Format kFormats[] = {
    {"progressive", ".jpg", TJSAMP_420, TJFLAG_PROGRESSIVE},
    {"444", ".jpg", TJSAMP_444},
    {"grey", ".jpg", TJSAMP_GRAY},
    {"cmyk", ".jpg", TJSAMP_444, 0, true},
    {"png", ".png"},
    {"webp", ".webp"},
};

cv::Mat to_cmyk(const cv::Mat& rgb) {
  cv::Mat result(rgb.rows, rgb.cols, CV_8UC4);
  for (int r = 0; r < rgb.rows; ++r) {
    for (int c = 0; c < rgb.cols; ++c) {
      const auto& from = rgb.at<cv::Vec3b>(r, c);
      // Adobe's files hold what is left of white; no black.
      result.at<cv::Vec4b>(r, c) = {from[0], from[1], from[2], 255};
    }
  }
  return result;
}

std::vector<Path> files_of(const Format& format) {
  constexpr std::size_t kCount = 64;
  const auto folder =
      std::filesystem::temp_directory_path() / "fastcpp-bench-formats" / format.name;
  make_folder(folder);
  const auto compressor = tjInitCompress();
  std::vector<Path> result;
  for (std::size_t i = 0; i < kCount; ++i) {
    const cv::Mat rgb = decode_image(files()[i]);
    const Path file = folder / (std::to_string(i) + format.extension);
    result.push_back(file);
    if (std::string(format.extension) != ".jpg") {
      cv::Mat bgr;
      cv::cvtColor(rgb, bgr, cv::COLOR_RGB2BGR);
      cv::imwrite(file.string(), bgr, {cv::IMWRITE_WEBP_QUALITY, 90});
      continue;
    }
    const cv::Mat pixels = format.cmyk ? to_cmyk(rgb) : rgb;
    unsigned char* bytes = nullptr;
    unsigned long size = 0;
    tjCompress2(compressor, pixels.data, pixels.cols, static_cast<int>(pixels.step[0]), pixels.rows,
                format.cmyk ? TJPF_CMYK : TJPF_RGB, &bytes, &size, format.sampling, 90,
                format.flags);
    write_file(file, {reinterpret_cast<const char*>(bytes), size});
    tjFree(bytes);
  }
  tjDestroy(compressor);
  return result;
}

// Beside libjpeg-turbo's own interface where it makes RGB of such a file, else beside OpenCV's decoder.
void loader_of_format(benchmark::State& state, const Format& format) {
  const auto pictures = files_of(format);
  const auto data = bunch_of(pictures, 1);
  epoch(data);
  const auto decoder = tjInitDecompress();
  const bool turbo = std::string(format.extension) == ".jpg" && !format.cmyk;
  bench::ratio(
      state, [&] { return epoch(data); },
      [&] {
        return bare_loop_of(pictures, [&](const Path& file) {
          return turbo ? decode(decoder, file) : cv::imread(file.string(), cv::IMREAD_COLOR);
        });
      });
  tjDestroy(decoder);
}

void register_formats() {
  for (const auto& format : kFormats) {
    const auto title = std::string("loader_") + format.name + "_over_bare_loop";
    benchmark::RegisterBenchmark(title.c_str(), loader_of_format, format)
        ->UseManualTime()
        ->Iterations(1)
        ->Unit(benchmark::kMillisecond);
  }
}

void loader_2_workers_over_1(benchmark::State& state) {
  const auto two = bunch(2), one = bunch(1);
  bench::ratio(
      state, [&] { return epoch(two); }, [&] { return epoch(one); });
}
FASTCPP_ROW(loader_2_workers_over_1);

void loader_warm_cache_over_none(benchmark::State& state) {
  const auto cached = bunch(1, std::size_t{4} << 30), plain = bunch(1);
  epoch(cached);
  bench::ratio(
      state, [&] { return epoch(cached); }, [&] { return epoch(plain); });
}
FASTCPP_ROW(loader_warm_cache_over_none);

void loader_scaled_decode_over_exact(benchmark::State& state) {
  const auto scaled = bunch(1, 0, true), plain = bunch(1);
  bench::ratio(
      state, [&] { return epoch(scaled); }, [&] { return epoch(plain); });
}
FASTCPP_ROW(loader_scaled_decode_over_exact);

// The same pictures prepared once with a shorter side of 256; of files that repeat each once.
struct Prepared {
  explicit Prepared(std::optional<int> quality) {
    const auto folder = std::filesystem::temp_directory_path() / "fastcpp-bench-packs";
    make_folder(folder);
    const auto pack = folder / (quality ? "jpeg.pack" : "raw.pack");
    std::map<Path, std::int64_t> known;
    std::vector<Path> once;
    for (const auto& file : files()) {
      const auto [at, fresh] = known.try_emplace(file, static_cast<std::int64_t>(once.size()));
      if (fresh) once.push_back(file);
      order.push_back(at->second);
    }
    bytes = ImageList(once, "/").prepare(pack, {.short_side = 256, .quality = quality}).bytes;
    for (const auto& file : once) bytes_of_files += std::filesystem::file_size(file);
    items = ImageList::from_pack(pack).items().take(order);
  }

  Paths items;
  std::vector<std::int64_t> order;
  std::uint64_t bytes = 0, bytes_of_files = 0;
};

void loader_prepared_over_decoding(benchmark::State& state, std::optional<int> quality) {
  const Prepared prepared(quality);
  const auto packed = bunch_of(prepared.items, 1), plain = bunch(1);
  epoch(packed);
  bench::ratio(
      state, [&] { return epoch(packed); }, [&] { return epoch(plain); });
  state.counters["pack_mb"] = static_cast<double>(prepared.bytes) / 1e6;
  state.counters["files_mb"] = static_cast<double>(prepared.bytes_of_files) / 1e6;
}

void loader_prepared_raw_over_decoding(benchmark::State& state) {
  loader_prepared_over_decoding(state, std::nullopt);
}
FASTCPP_ROW(loader_prepared_raw_over_decoding);

void loader_prepared_jpeg_over_decoding(benchmark::State& state) {
  loader_prepared_over_decoding(state, 90);
}
FASTCPP_ROW(loader_prepared_jpeg_over_decoding);

// Transforms applied to decoded pictures, beside cv::warpAffine on the same.
void over_one_warp(benchmark::State& state, const TfmList& tfms) {
  std::vector<cv::Mat> decoded;
  for (std::size_t i = 0; i < 64; ++i) decoded.push_back(decode_image(files()[i]));
  std::vector<float> slot(3 * kSide * kSide);
  const auto ours = [&] {
    return bench::seconds([&] {
      for (std::size_t i = 0; i < decoded.size(); ++i) {
        Rng rng(i);
        apply_tfms_into(decoded[i], tfms, {.size = kSide}, rng, slot.data());
      }
    });
  };
  const auto limit = [&] {
    return bench::seconds([&] {
      cv::Mat warped;
      for (const auto& picture : decoded) {
        const double scale = std::min(picture.rows, picture.cols) / double(kSide);
        cv::warpAffine(picture, warped, cv::Matx23d(scale, 0.05, 3, -0.05, scale, 20),
                       {kSide, kSide}, cv::INTER_LINEAR | cv::WARP_INVERSE_MAP,
                       cv::BORDER_REFLECT_101);
        benchmark::DoNotOptimize(warped.data);
      }
    });
  };
  bench::ratio(state, ours, limit);
}

void chain_over_one_warp(benchmark::State& state) {
  over_one_warp(state, get_transforms().train);
}
FASTCPP_ROW(chain_over_one_warp);

// Each transform alone, with the resize and crop that every picture needs.
void register_transforms() {
  const std::pair<const char*, Transform> all[] = {
      {"crop_pad", crop_pad()},
      {"flip_lr", flip_lr()},
      {"dihedral", dihedral()},
      {"dihedral_affine", dihedral_affine()},
      {"rotate", rotate({-10.0, 10.0})},
      {"zoom", rand_zoom({1.0, 1.1})},
      {"squish", squish({.scale = {0.9, 1.1}})},
      {"symmetric_warp", symmetric_warp({.magnitude = {-0.2, 0.2}})},
      {"brightness", brightness({0.4, 0.6})},
      {"contrast", contrast({0.8, 1.25})},
      {"jitter", jitter({-0.02, 0.02})},
      {"cutout", cutout({.n_holes = {1, 4}, .length = {10, 40}})},
      {"rgb_randomize", rgb_randomize()},
  };
  for (const auto& [name, tfm] : all) {
    TfmList tfms{tfm};
    if (std::string(name) != "crop_pad") tfms.push_back(rand_crop());
    benchmark::RegisterBenchmark(("transform_" + std::string(name) + "_over_one_warp").c_str(),
                                 over_one_warp, tfms)
        ->UseManualTime()
        ->Iterations(1)
        ->Unit(benchmark::kMillisecond);
  }
}

}  // namespace

int main(int argc, char** argv) {
  cv::setNumThreads(1);
  set_threads(1);
  benchmark::Initialize(&argc, argv);
  register_formats();
  register_transforms();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
