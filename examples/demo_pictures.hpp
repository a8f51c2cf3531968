/// \file
/// Drawn pictures of invented breeds, named like the pets of the lesson: the lesson runs on them
/// where there is no network and no data set.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fastcpp/core/path.hpp"

namespace demo {

/// What `draw_demo_pictures` draws.
struct DemoPicturesOptions {
  /// Number of breeds, 2 to 8: cats and dogs in turn.
  int classes = 6;
  /// Pictures of each breed, 1 or more.
  int per_class = 150;
  /// The same seed draws the same pictures.
  std::uint64_t seed = 42;
};

/// Draws `classes * per_class` JPEG pictures `<folder>/Some_Breed_12.jpg`: capitalised names are
/// cats, lower-case names are dogs, numbers start at 1, and `/([^/]+)_\d+.jpg$` gives the label.
///
/// No breed has a feature of its own. Shape of the ears, pattern of the coat, muzzle and tail each
/// return in another breed, and all breeds share the colours, so that only their combination tells
/// them apart. Size, pose, light, background and sharpness differ from picture to picture.
///
/// \param folder where the pictures go; made when missing, files of the same name are replaced
/// \returns the files, sorted by breed in drawing order, then by number
/// \throws ValueError `value.demo_pictures` for a number of breeds or pictures out of range
/// \throws IoError    `io.cannot_create`, `io.cannot_write`
std::vector<fastcpp::Path> draw_demo_pictures(const fastcpp::Path& folder,
                                              const DemoPicturesOptions& options = {});

/// The names of the first `classes` breeds, in drawing order.
/// \throws ValueError `value.demo_pictures` for a number out of range
std::vector<std::string> demo_breeds(int classes = 6);

}  // namespace demo
