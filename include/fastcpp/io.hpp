/// \file
/// All headers of the room `io`: checkpoints, values, JSON, downloads.
#pragma once

#include "fastcpp/io/checkpoint.hpp"
#include "fastcpp/io/checksum.hpp"
#include "fastcpp/io/config.hpp"
#include "fastcpp/io/download.hpp"
#include "fastcpp/io/fetch.hpp"
#include "fastcpp/io/file_source.hpp"
#include "fastcpp/io/hub.hpp"
#include "fastcpp/io/json.hpp"
#include "fastcpp/io/model_file.hpp"
#include "fastcpp/io/pack.hpp"
#include "fastcpp/io/recipe.hpp"
#include "fastcpp/io/registry.hpp"
#include "fastcpp/io/safetensors.hpp"
#include "fastcpp/io/state_dict.hpp"
#include "fastcpp/io/summary_writer.hpp"
#include "fastcpp/io/tar.hpp"
#include "fastcpp/io/untar.hpp"
#include "fastcpp/io/urls.hpp"
#include "fastcpp/io/value.hpp"
