// Catch2 v2 brings no main of its own.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
