/// \file
/// All headers of the room `data`: items, labels, splits, loaders.
#pragma once

#include "fastcpp/data/data_bunch.hpp"
#include "fastcpp/data/data_loader.hpp"
#include "fastcpp/data/dataset.hpp"
#include "fastcpp/data/distributed_sampler.hpp"
#include "fastcpp/data/files.hpp"
#include "fastcpp/data/item_list.hpp"
#include "fastcpp/data/item_reader.hpp"
#include "fastcpp/data/label.hpp"
#include "fastcpp/data/label_kind.hpp"
#include "fastcpp/data/label_list.hpp"
#include "fastcpp/data/labels.hpp"
#include "fastcpp/data/on_error.hpp"
#include "fastcpp/data/paths.hpp"
#include "fastcpp/data/sample.hpp"
#include "fastcpp/data/sampler.hpp"
#include "fastcpp/data/shard_sampler.hpp"
#include "fastcpp/data/split.hpp"
#include "fastcpp/data/stats.hpp"
#include "fastcpp/data/table.hpp"
#include "fastcpp/data/tensors.hpp"
