#include "vision/image/png.hpp"

#include <png.h>

#include <csetjmp>
#include <cstdlib>
#include <cstring>
#include <new>

namespace fastcpp::inline v0::detail {
namespace {

// What libpng calls back with.
struct State {
  std::string_view bytes;
  std::size_t at = 0;
  bool ended = false, no_memory = false;
};

void read(png_structp png, png_bytep to, png_size_t count) {
  auto& state = *static_cast<State*>(png_get_io_ptr(png));
  if (count > state.bytes.size() - state.at) {
    state.ended = true;
    png_error(png, "");
  }
  std::memcpy(to, state.bytes.data() + state.at, count);
  state.at += count;
}

[[noreturn]] void fail(png_structp png, png_const_charp) {
  png_longjmp(png, 1);
}

void ignore(png_structp, png_const_charp) {}

png_voidp take(png_structp png, png_alloc_size_t count) {
  void* const memory = std::malloc(count);
  if (!memory) static_cast<State*>(png_get_mem_ptr(png))->no_memory = true;
  return memory;
}

void give_back(png_structp, png_voidp memory) {
  std::free(memory);
}

// libpng jumps out of a function when something is wrong: no function below that sets the mark owns anything.
class PngReader {
 public:
  explicit PngReader(std::string_view bytes) : state_{bytes} {
    png_ = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, nullptr, fail, ignore, &state_, take,
                                    give_back);
    info_ = png_ ? png_create_info_struct(png_) : nullptr;
    if (!info_) state_.no_memory = true;
  }
  ~PngReader() {
    png_destroy_read_struct(png_ ? &png_ : nullptr, info_ ? &info_ : nullptr, nullptr);
  }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  const State& state() const { return state_; }
  int rows() const { return static_cast<int>(png_get_image_height(png_, info_)); }
  int cols() const { return static_cast<int>(png_get_image_width(png_, info_)); }

  bool read_header() {
    if (!info_) return false;
    if (setjmp(png_jmpbuf(png_))) return false;
    png_set_read_fn(png_, &state_, read);
    png_set_crc_action(png_, PNG_CRC_QUIET_USE, PNG_CRC_QUIET_USE);
    png_set_user_limits(png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_read_info(png_, info_);
    png_set_expand(png_);
    png_set_strip_16(png_);
    png_set_strip_alpha(png_);
    png_set_gray_to_rgb(png_);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return png_get_channels(png_, info_) == 3 && png_get_bit_depth(png_, info_) == 8;
  }

  bool read_pixels(cv::Mat& rgb) {
    if (setjmp(png_jmpbuf(png_))) return false;
    const int passes =
        png_get_interlace_type(png_, info_) == PNG_INTERLACE_NONE ? 1 : PNG_INTERLACE_ADAM7_PASSES;
    for (int pass = 0; pass < passes; ++pass) {
      for (int y = 0; y < rgb.rows; ++y) png_read_row(png_, rgb.ptr(y), nullptr);
    }
    return true;
  }

 private:
  State state_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

}  // namespace

PngResult decode_png(std::string_view bytes) {
  PngReader reader(bytes);
  PngResult result;
  bool done = reader.read_header();
  if (done) {
    result.rgb.create(reader.rows(), reader.cols(), CV_8UC3);
    done = reader.read_pixels(result.rgb);
  }
  if (done) return result;
  if (reader.state().no_memory) throw std::bad_alloc();
  result.rgb.release();
  result.fault =
      reader.state().ended ? "it is cut off within its pixels" : "its pixels cannot be decoded";
  return result;
}

}  // namespace fastcpp::detail
