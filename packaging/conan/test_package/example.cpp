#include <cstdio>

#include <fastcpp/core/error.hpp>
#include <fastcpp/vision/image/image.hpp>

// A picture that is none is refused with a code.
int main() {
  try {
    fastcpp::decode_image_bytes("no picture");
  } catch (const fastcpp::Error& error) {
    std::puts(error.code().c_str());
    return 0;
  }
  return 1;
}
