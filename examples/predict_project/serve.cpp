// Answers requests with a model that Learner::export_model wrote, until SIGINT or SIGTERM:
//
//   serve MODEL [PORT]
#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <thread>

#include <fastcpp/core/error.hpp>
#include <fastcpp/serve/serve.hpp>

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: serve MODEL [PORT]\n";
    return 2;
  }
  // A thread of its own waits for the signals, which all others leave to it.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::stop_source stop;
  std::thread([stop, signals]() mutable {
    int signal = 0;
    sigwait(&signals, &signal);
    stop.request_stop();
    // A second one ends the program at once.
    sigwait(&signals, &signal);
    std::_Exit(130);
  }).detach();
  try {
    fastcpp::serve(fastcpp::Predictor(argv[1]), {.port = argc > 2 ? std::atoi(argv[2]) : 8080,
                                                 .stop = stop.get_token(),
                                                 .on_ready = [](const std::string& address) {
                                                   std::cout << "curl --data-binary @picture.jpg "
                                                             << address << "/predict\n"
                                                             << std::flush;
                                                 }});
    return 0;
  } catch (const fastcpp::Error& error) {
    std::cerr << "serve: " << error.what() << " [" << error.code() << "]\n";
    return 1;
  }
}
