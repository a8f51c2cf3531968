/// \file
/// All headers of the room `train`: models, losses, metrics, the learner, callbacks.
#pragma once

#include "fastcpp/train/callback.hpp"
#include "fastcpp/train/callbacks/callbacks.hpp"
#include "fastcpp/train/callbacks/general_sched.hpp"
#include "fastcpp/train/callbacks/mixed_precision.hpp"
#include "fastcpp/train/callbacks/mixup.hpp"
#include "fastcpp/train/callbacks/over_sampling.hpp"
#include "fastcpp/train/callbacks/tracker.hpp"
#include "fastcpp/train/forward.hpp"
#include "fastcpp/train/learner.hpp"
#include "fastcpp/train/metrics/loss.hpp"
#include "fastcpp/train/metrics/metrics.hpp"
#include "fastcpp/train/model.hpp"
#include "fastcpp/train/optim/layers.hpp"
#include "fastcpp/train/optim/optimizer.hpp"
#include "fastcpp/train/optim/schedule.hpp"
#include "fastcpp/train/prediction.hpp"
#include "fastcpp/train/recorder.hpp"
#include "fastcpp/train/registry.hpp"
#include "fastcpp/train/summary.hpp"
#include "fastcpp/train/threads.hpp"
