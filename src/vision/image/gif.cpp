#include "vision/image/gif.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace fastcpp::inline v0::detail {
namespace {

struct Damage {
  std::string what;
};

class GifReader {
 public:
  explicit GifReader(std::string_view bytes) : bytes_(bytes) {}
  std::uint32_t u8() {
    if (at_ >= bytes_.size()) throw Damage{"it is cut off"};
    return static_cast<unsigned char>(bytes_[at_++]);
  }
  std::uint32_t u16() {
    const auto low = u8();
    return low | u8() << 8;
  }
  void skip(std::size_t count) {
    if (count > bytes_.size() - at_) throw Damage{"it is cut off"};
    at_ += count;
  }
  // Data come in runs of up to 255 bytes; a run of none ends them.
  void skip_runs() {
    while (const auto count = u8()) skip(count);
  }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
};

using Palette = std::array<std::array<std::uint8_t, 3>, 256>;

Palette read_palette(GifReader& in, std::uint32_t flags) {
  Palette palette;
  for (std::size_t i = 0; i < 256; ++i) palette[i].fill(static_cast<std::uint8_t>(i));
  if (flags & 0x80) {
    const std::size_t count = std::size_t{2} << (flags & 7);
    for (std::size_t i = 0; i < count; ++i) {
      for (auto& channel : palette[i]) channel = static_cast<std::uint8_t>(in.u8());
    }
  }
  return palette;
}

// Codes of variable width, low bits first, across the runs.
class Codes {
 public:
  explicit Codes(GifReader& in) : in_(in) {}
  std::uint32_t next(int width) {
    while (count_ < width) {
      if (left_ == 0) left_ = in_.u8();
      if (left_ == 0) throw Damage{"its pixel data end early"};
      --left_;
      bits_ |= in_.u8() << count_;
      count_ += 8;
    }
    const auto code = bits_ & ((1u << width) - 1);
    bits_ >>= width;
    count_ -= width;
    return code;
  }

 private:
  GifReader& in_;
  std::uint32_t bits_ = 0, left_ = 0;
  int count_ = 0;
};

// LZW: every table entry is an earlier entry and one more index. Fills exactly `count` indices.
std::vector<std::uint8_t> read_indices(GifReader& in, std::size_t count) {
  const auto least = static_cast<int>(in.u8());
  if (least < 1 || least > 8) throw Damage{"its code width is impossible"};
  constexpr std::uint32_t kNone = 4096;
  std::array<std::uint16_t, 4096> prefix{}, length{};
  std::array<std::uint8_t, 4096> first{}, last{};
  const std::uint32_t clear = 1u << least, end = clear + 1;
  for (std::uint32_t i = 0; i < clear; ++i) {
    first[i] = last[i] = static_cast<std::uint8_t>(i);
    length[i] = 1;
  }
  Codes codes(in);
  std::vector<std::uint8_t> out(count);
  std::uint32_t free = end + 1, former = kNone;
  int width = least + 1;
  for (std::size_t done = 0; done < count;) {
    const auto code = codes.next(width);
    if (code == clear) {
      free = end + 1;
      former = kNone;
      width = least + 1;
      continue;
    }
    if (code == end) throw Damage{"its pixel data end early"};
    if (code > free || (former == kNone ? code >= clear : code == free && free == 4096)) {
      throw Damage{"its pixel data are damaged"};
    }
    if (former != kNone && free < 4096) {
      prefix[free] = static_cast<std::uint16_t>(former);
      first[free] = first[former];
      last[free] = first[code == free ? former : code];
      length[free] = static_cast<std::uint16_t>(length[former] + 1);
      ++free;
      if (free == (1u << width) && width < 12) ++width;
    }
    // Entries are written backwards, from their last index to their first.
    const std::size_t stop = done + length[code];
    std::uint32_t entry = code;
    for (std::size_t i = stop; i-- > done; entry = prefix[entry]) {
      if (i < count) out[i] = last[entry];
    }
    done = stop;
    former = code;
  }
  return out;
}

// Interlaced frames hold every eighth line, then those half-way between, and so on.
std::vector<int> line_order(int rows, bool interlaced) {
  std::vector<int> order;
  if (!interlaced) {
    for (int y = 0; y < rows; ++y) order.push_back(y);
    return order;
  }
  constexpr int kStart[] = {0, 4, 2, 1}, kStep[] = {8, 8, 4, 2};
  for (int pass = 0; pass < 4; ++pass) {
    for (int y = kStart[pass]; y < rows; y += kStep[pass]) order.push_back(y);
  }
  return order;
}

GifResult decode(std::string_view bytes, std::int64_t max_pixels) {
  GifReader in(bytes);
  in.skip(6);
  auto cols = static_cast<int>(in.u16()), rows = static_cast<int>(in.u16());
  const auto flags = in.u8();
  in.skip(2);
  Palette palette = read_palette(in, flags);
  std::uint8_t background = 0;
  while (true) {
    const auto block = in.u8();
    if (block == 0x21) {
      if (in.u8() == 0xF9) {
        const auto size = in.u8();
        if (size < 4) throw Damage{"its control block is damaged"};
        const auto control = in.u8();
        in.skip(2);
        const auto transparent = in.u8();
        if (control & 1) background = static_cast<std::uint8_t>(transparent);
        in.skip(size - 4);
      }
      in.skip_runs();
    } else if (block == 0x2C) {
      break;
    } else if (block == 0x3B) {
      throw Damage{"it holds no picture"};
    } else if (block != 0) {
      throw Damage{"it holds an unknown block"};
    }
  }
  const auto left = static_cast<int>(in.u16()), top = static_cast<int>(in.u16());
  const auto width = static_cast<int>(in.u16()), height = static_cast<int>(in.u16());
  const auto frame_flags = in.u8();
  if (frame_flags & 0x80) palette = read_palette(in, frame_flags);
  // Pillow enlarges a screen that is smaller than its frame.
  cols = std::max(cols, left + width);
  rows = std::max(rows, top + height);
  if (width == 0 || height == 0) throw Damage{"it holds no picture"};
  GifResult result;
  if (std::int64_t{rows} * cols > max_pixels) {
    result.too_large = true;
    return result;
  }
  const auto indices =
      read_indices(in, static_cast<std::size_t>(width) * static_cast<std::size_t>(height));
  const auto& ground = palette[background];
  result.rgb = cv::Mat(rows, cols, CV_8UC3, cv::Scalar(ground[0], ground[1], ground[2]));
  const auto* index = indices.data();
  for (const int y : line_order(height, (frame_flags & 0x40) != 0)) {
    auto* pixel = result.rgb.ptr<std::uint8_t>(top + y, left);
    for (int x = 0; x < width; ++x, pixel += 3) std::copy_n(palette[*index++].data(), 3, pixel);
  }
  return result;
}

}  // namespace

GifResult decode_gif(std::string_view bytes, std::int64_t max_pixels) {
  try {
    return decode(bytes, max_pixels);
  } catch (const Damage& damage) {
    GifResult result;
    result.fault = damage.what;
    return result;
  }
}

}  // namespace fastcpp::detail
