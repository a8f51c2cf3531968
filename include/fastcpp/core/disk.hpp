/// \file
/// What making a file needs of the system: links followed, descriptors that no print reaches, bytes on the disk.
#pragma once

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// Where a symbolic link leads, also when nothing is there yet; `file` itself when it is none. Thread-safe.
/// \return empty, with `errno` set, when the links lead in a circle
FASTCPP_API Path follow_links(Path file);

/// Opens a file as `open(2)` does, with `O_CLOEXEC`, and never as descriptor 0, 1 or 2: in a program that has closed
/// its standard output, what is printed would land in the file. Thread-safe.
/// \param mode access rights of a file that is made
/// \return the descriptor, or -1 with `errno` set
FASTCPP_API int open_file(const Path& file, int flags, unsigned mode = 0666);

/// Moves a descriptor above 2, as `open_file` does. Closes `fd` when that fails. Thread-safe.
/// \return the descriptor, or -1 with `errno` set
FASTCPP_API int above_streams(int fd);

/// Waits until what was written to a file is on the disk. What cannot be flushed, such as a device, counts as flushed.
/// Thread-safe.
/// \return false, with `errno` set, when the disk refuses
FASTCPP_API bool flush_file(int fd);

/// Waits until the names in a folder are on the disk, so that a new name survives a power failure too. Thread-safe.
FASTCPP_API void flush_folder(const Path& folder);

}  // namespace fastcpp
