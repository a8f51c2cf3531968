/// \file
/// All headers of the room `tabular`: tables as data, their network and learner.
#pragma once

#include "fastcpp/tabular/columns.hpp"
#include "fastcpp/tabular/dates.hpp"
#include "fastcpp/tabular/model.hpp"
#include "fastcpp/tabular/processor.hpp"
#include "fastcpp/tabular/processors.hpp"
#include "fastcpp/tabular/table_figure.hpp"
#include "fastcpp/tabular/tabular_data_bunch.hpp"
#include "fastcpp/tabular/tabular_dataset.hpp"
#include "fastcpp/tabular/tabular_learner.hpp"
#include "fastcpp/tabular/tabular_list.hpp"
