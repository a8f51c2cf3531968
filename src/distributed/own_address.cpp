#include "distributed/own_address.hpp"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>

namespace fastcpp::inline v0 {
namespace {

// Where a datagram to that address would come from.
std::string source_for(const addrinfo& target) {
  const int socket = ::socket(target.ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return {};
  sockaddr_storage source{};
  socklen_t length = sizeof source;
  auto* const address = reinterpret_cast<sockaddr*>(&source);
  const bool known = ::connect(socket, target.ai_addr, target.ai_addrlen) == 0 &&
                     ::getsockname(socket, address, &length) == 0;
  ::close(socket);
  char text[NI_MAXHOST];
  if (!known ||
      ::getnameinfo(address, length, text, sizeof text, nullptr, 0, NI_NUMERICHOST) != 0) {
    return {};
  }
  return text;
}

}  // namespace

std::string own_address(const std::string& host, int port) {
  for (const int family : {AF_INET, AF_INET6}) {
    addrinfo hints{};
    hints.ai_family = family;
    hints.ai_socktype = SOCK_DGRAM;
    addrinfo* found = nullptr;
    if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) continue;
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> all(found, ::freeaddrinfo);
    for (const auto* one = found; one; one = one->ai_next) {
      auto source = source_for(*one);
      if (!source.empty()) return source;
    }
  }
  return {};
}

}  // namespace fastcpp
