"""Recipe of fastcpp for Conan 2. LibTorch, OpenCV and the other libraries are those of the system (see system_requirements):
the LibTorch that a program uses has to be the one that fastcpp was built with, and ConanCenter offers none to rely on."""
import os
import re

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load
from conan.tools.system.package_manager import Apt


class FastcppRecipe(ConanFile):
    name = "fastcpp"
    package_type = "library"
    license = "Apache-2.0"
    description = "fastai v1 for C++: train image classifiers on LibTorch"
    topics = ("deep-learning", "image-classification", "libtorch", "fastai")
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False], "with_tool": [True, False]}
    default_options = {"shared": False, "with_tool": False}

    def _root(self):
        return os.path.join(self.recipe_folder, os.pardir, os.pardir)

    def set_version(self):
        text = load(self, os.path.join(self._root(), "include", "fastcpp", "version.hpp"))
        self.version = ".".join(re.search(rf"FASTCPP_VERSION_{part} (\d+)", text)[1] for part in ("MAJOR", "MINOR", "PATCH"))

    def export_sources(self):
        for pattern in ("CMakeLists.txt", "LICENSE", "cmake/*", "include/*", "src/*", "tool/*"):
            copy(self, pattern, src=self._root(), dst=self.export_sources_folder)

    def layout(self):
        cmake_layout(self)

    def validate(self):
        if self.settings.os != "Linux":
            raise ConanInvalidConfiguration("fastcpp was built on Linux only")
        if self.settings.compiler.get_safe("cppstd"):
            check_min_cppstd(self, 20)

    def system_requirements(self):
        # What scripts/setup installs, without what only the tests need.
        packages = [
            "libtorch-dev", "libopencv-dev", "libfmt-dev", "libcurl4-openssl-dev", "libarchive-dev", "libssl-dev",
            "libcairo2-dev", "libfontconfig-dev", "libpng-dev", "zlib1g-dev", "libpcre2-dev", "libturbojpeg0-dev",
            "nlohmann-json3-dev", "libprotozero-dev", "libcpp-httplib-dev", "pkg-config"]
        if self.options.with_tool:
            packages.append("libcli11-dev")
        Apt(self).install(packages)

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["BUILD_SHARED_LIBS"] = bool(self.options.shared)
        toolchain.cache_variables["FASTCPP_DEVELOPER_MODE"] = False
        toolchain.cache_variables["FASTCPP_BUILD_TOOL"] = bool(self.options.with_tool)
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        copy(self, "LICENSE", src=self.source_folder, dst=os.path.join(self.package_folder, "licenses"))
        CMake(self).install()

    def package_info(self):
        # fastcpp's own fastcppConfig.cmake, which also looks for LibTorch and the rest, instead of a generated one.
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.builddirs = [os.path.join("lib", "cmake", "fastcpp")]
        self.cpp_info.libs = ["fastcpp"]
