/// \file
/// All headers of the room `interpret`: what comes out.
#pragma once

#include "fastcpp/interpret/calibration.hpp"
#include "fastcpp/interpret/class_confusion.hpp"
#include "fastcpp/interpret/classification.hpp"
#include "fastcpp/interpret/dataset_formatter.hpp"
#include "fastcpp/interpret/feature_importance.hpp"
#include "fastcpp/interpret/grad_cam.hpp"
#include "fastcpp/interpret/image_cleaner.hpp"
#include "fastcpp/interpret/report.hpp"
#include "fastcpp/interpret/result_rows.hpp"
#include "fastcpp/interpret/show_graph.hpp"
