// A time beside its limit, both measured in the same run.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <vector>

namespace bench {

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto n = values.size();
  return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

template <typename F>
double seconds(F&& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// One row: `ours` and `limit` run in turn, so that a neighbour's load meets both. The ratio is the
// median of the ratios of neighbouring runs. Each returns its seconds.
template <typename Ours, typename Limit>
void ratio(benchmark::State& state, Ours&& ours, Limit&& limit, int runs = 5) {
  for (auto _ : state) {
    std::vector<double> a, b, ratios;
    for (int i = 0; i < runs; ++i) {
      // The order changes too: the first of a pair may find warmer or colder caches.
      if (i % 2) {
        b.push_back(limit());
        a.push_back(ours());
      } else {
        a.push_back(ours());
        b.push_back(limit());
      }
      ratios.push_back(a.back() / b.back());
    }
    state.SetIterationTime(median(a));
    state.counters["ours_s"] = median(a);
    state.counters["limit_s"] = median(b);
    state.counters["ratio"] = median(ratios);
  }
}

}  // namespace bench

#define FASTCPP_ROW(FUNCTION) \
  BENCHMARK(FUNCTION)->UseManualTime()->Iterations(1)->Unit(benchmark::kMillisecond)
