// Picture files read once: their content, and what they look like from far away, to compare every one with every other.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/vision/find_duplicates.hpp"
#include "fastcpp/vision/image/image_file.hpp"
#include "fastcpp/vision/image_fault.hpp"

namespace fastcpp::inline v0::detail {

// What is left of a picture when it is made very small and grey.
struct Look {
  std::uint64_t hash = 0;  // brighter or darker from left to right, on 9 x 8 pixels
  std::array<std::uint8_t, 32 * 32> levels = {};  // stretched to 0..255
};

struct PictureFile {
  Path path;
  std::string content;            // SHA-256; empty when it cannot be read
  std::size_t size = 0;           // in bytes
  ImageFileInfo info = {};        // of the readers below only kLook finds it
  std::optional<Look> look = {};  // nothing when there is hardly anything to see
  std::optional<ImageFault> fault = {};
};

enum class ReadPicture { kContent, kLook };

// Fills all but `path`. What goes wrong is told in `fault`.
void read_picture(PictureFile& file, ReadPicture what);

// Throws ValueError value.distance.
void check_distance(const std::optional<int>& most);

// The hashes of pictures side by side: looking through them all is faster than any index of this many bits.
class Looks {
 public:
  explicit Looks(const std::vector<const PictureFile*>& files);
  struct Match {
    std::size_t index = 0;  // in `files`
    int distance = 0;       // bits
  };
  // Those from the file `from` on that look like this, in their order.
  std::vector<Match> like(const Look& look, int most, std::size_t from = 0) const;

 private:
  std::vector<const Look*> looks_;
  std::vector<std::uint64_t> hashes_;
  std::vector<std::size_t> files_;  // of each look
};

// Files of equal bytes; of pictures that look alike. `files` are sorted by path, and so are the groups.
std::vector<DuplicateGroup> equal_groups(const std::vector<const PictureFile*>& files);
std::vector<DuplicateGroup> near_groups(const std::vector<const PictureFile*>& files, int most);

}  // namespace fastcpp::detail
