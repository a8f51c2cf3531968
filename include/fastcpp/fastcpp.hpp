/// \file
/// Everything but `fastcpp/serve/serve.hpp`, which needs the library fastcpp::serve. Programs that train picture classifiers do
/// with `fastcpp/vision.hpp`, libraries with the headers that they use.
#pragma once

#include "fastcpp/collab.hpp"
#include "fastcpp/core.hpp"
#include "fastcpp/data.hpp"
#include "fastcpp/deploy.hpp"
#include "fastcpp/distributed.hpp"
#include "fastcpp/fwd.hpp"
#include "fastcpp/interpret.hpp"
#include "fastcpp/io.hpp"
#include "fastcpp/plot.hpp"
#include "fastcpp/tabular.hpp"
#include "fastcpp/train.hpp"
#include "fastcpp/version.hpp"
#include "fastcpp/vision.hpp"
#include "fastcpp/vision/image/picture_cache.hpp"
#include "fastcpp/vision/image_dataset.hpp"
#include "fastcpp/vision/image_fault.hpp"
#include "fastcpp/vision/models/cnn_model.hpp"
#include "fastcpp/vision/models/fold.hpp"
#include "fastcpp/vision/transform/device.hpp"
#include "fastcpp/vision/transform/recipes.hpp"
