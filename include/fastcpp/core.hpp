/// \file
/// All headers of the room `core`: errors, paths, logs, progress, random numbers, threads.
#pragma once

#include "fastcpp/core/atomic_writer.hpp"
#include "fastcpp/core/base64.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/disk.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/learning_rate.hpp"
#include "fastcpp/core/live_progress.hpp"
#include "fastcpp/core/load_clock.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/core/numpy_random.hpp"
#include "fastcpp/core/path.hpp"
#include "fastcpp/core/progress.hpp"
#include "fastcpp/core/python_text.hpp"
#include "fastcpp/core/rng.hpp"
#include "fastcpp/core/text.hpp"
#include "fastcpp/core/threads.hpp"
