// The table beside the pictures of a pack, as its notes hold it.
#pragma once

#include <string>

#include "fastcpp/data/table.hpp"
#include "fastcpp/io/pack.hpp"

namespace fastcpp::inline v0::detail {

// Whether the pack's names are a column of their own, in front of the others.
enum class NameColumn { kFirst, kNone };

// JSON: {"columns": [{"name": "name"}, {"name": "label", "cells": ["cat", ...]}, ...]}; the column without cells is that of the
// names, which stand in the pack already. Throws ValueError value.json, value.prepare.
std::string notes_of(const Table& table, NameColumn names);

// A row an entry. Throws FormatError pack.bad_notes.
Table table_of(const PackReader& pack);

}  // namespace fastcpp::detail
