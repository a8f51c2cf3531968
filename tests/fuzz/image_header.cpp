// What is found out about a picture file without decoding it.
#include "vision/image/image_header.hpp"

#include <vector>

#include "fuzz.hpp"
#include "vision/image/webp.hpp"

using namespace fastcpp;

FASTCPP_FUZZ_TARGET(image_header)(std::string_view input) {
  // Exactly so many bytes on the heap, so that a byte beyond them is found.
  const std::vector<char> exact(input.begin(), input.end());
  const std::string_view bytes(exact.data(), exact.size());
  const auto header = detail::inspect(bytes);
  fuzz::require(header.rows >= 0 && header.cols >= 0, "a negative size");
  fuzz::accepted([&] {
    const auto info = image_file_info(bytes);
    fuzz::require(info.format == header.format, "two opinions of the format");
    fuzz::require(info.channels >= 0 && info.channels <= 4, "an impossible number of channels");
    const auto stripped = without_exif(bytes);
    fuzz::require(stripped.size() <= bytes.size(), "longer without its Exif data");
  });
  if (detail::is_animated_webp(bytes)) {
    const auto frame = detail::first_webp_frame(bytes);
    fuzz::require(frame.still.empty() != frame.fault.empty(),
                  "a frame with a fault, or none without");
    fuzz::require(frame.still.size() <= bytes.size() + 64, "a frame longer than its file");
  }
  if (header.cleaned.empty() || !header.fault.empty()) return;
  const auto again = detail::inspect(header.cleaned);
  fuzz::require(again.format == header.format && again.rows == header.rows &&
                    again.cols == header.cols && again.fault.empty(),
                "the cleaned file is another picture: " + again.fault);
}
