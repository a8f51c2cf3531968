# Debian packages by CPack; scripts/package configures a build for them, makes and checks them.
#
#   libfastcpp0.1, libfastcpp-predict0.1   the shared libraries, named after what programs ask the loader for
#   libfastcpp-dev                         headers, the library to link, files for CMake and pkg-config
#   fastcpp                                the program, its man page and completion
if(NOT PROJECT_IS_TOP_LEVEL OR NOT FASTCPP_INSTALL)
  return()
endif()
set(FASTCPP_PACKAGE_MAINTAINER "" CACHE STRING "Of the Debian packages: Name <address>")
set(FASTCPP_PACKAGE_DATE "" CACHE STRING "Of the Debian packages' changelog, as date -R prints it")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME fastcpp)
set(CPACK_PACKAGE_VERSION "${PROJECT_VERSION}")
set(CPACK_PACKAGE_CONTACT "${FASTCPP_PACKAGE_MAINTAINER}")
set(CPACK_PACKAGING_INSTALL_PREFIX "${CMAKE_INSTALL_PREFIX}")
set(CPACK_PACKAGE_DIRECTORY "${PROJECT_BINARY_DIR}/packages")
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_THREADS 0)
set(CPACK_PRE_BUILD_SCRIPTS "${PROJECT_SOURCE_DIR}/cmake/FastcppPackageFiles.cmake")

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)

set(CPACK_COMPONENTS_ALL development)
set(_abi "${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}")
if(FASTCPP_BUILD_SHARED)
  list(PREPEND CPACK_COMPONENTS_ALL fastcpp predict)
  set(CPACK_COMPONENT_DEVELOPMENT_DEPENDS fastcpp predict)
  set(CPACK_COMPONENT_TOOL_DEPENDS fastcpp)
  # Where dpkg-shlibdeps finds the libraries of this build.
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS "${PROJECT_BINARY_DIR}/src")
endif()
if(TARGET fastcpp_tool)
  list(APPEND CPACK_COMPONENTS_ALL tool)
endif()

# What a library needs of other packages is read from it.
foreach(part FASTCPP PREDICT TOOL)
  set(CPACK_DEBIAN_${part}_PACKAGE_SHLIBDEPS ON)
endforeach()
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # would stand before each
# CPack takes the first line for the summary, and begins the others as Debian wants them.
set(_about "Image classifiers in the manner of fastai v1, on LibTorch and OpenCV: data
from folders, file names and tables, augmentation, transfer learning,
one-cycle training, a finder of learning rates, interpretation and plots,
export to one file, ONNX or TorchScript.")
set(CPACK_DEBIAN_FASTCPP_PACKAGE_NAME "libfastcpp${_abi}")
set(CPACK_DEBIAN_FASTCPP_PACKAGE_SECTION libs)
set(CPACK_COMPONENT_FASTCPP_DESCRIPTION "training of image classifiers in C++ (library)\n${_about}")
set(CPACK_DEBIAN_PREDICT_PACKAGE_NAME "libfastcpp-predict${_abi}")
set(CPACK_DEBIAN_PREDICT_PACKAGE_SECTION libs)
set(CPACK_COMPONENT_PREDICT_DESCRIPTION "prediction with image classifiers in C++ (library)
The part of fastcpp that programs need which only predict from a trained
model. It links neither downloads nor archives nor plots.")
# Which package a program needs that links the library, and that the loader's cache is made anew. CPack's own way calls
# ldconfig from scripts instead of this trigger.
foreach(part FASTCPP PREDICT)
  set(_control "${PROJECT_BINARY_DIR}/debian/${CPACK_DEBIAN_${part}_PACKAGE_NAME}")
  string(REPLACE "-" "_" _library "${CPACK_DEBIAN_${part}_PACKAGE_NAME}")
  string(REGEX REPLACE "${_abi}$" "" _library "${_library}")
  file(WRITE "${_control}/shlibs" "${_library} ${_abi} ${CPACK_DEBIAN_${part}_PACKAGE_NAME} (>= ${PROJECT_VERSION})\n")
  file(WRITE "${_control}/triggers" "activate-noawait ldconfig\n")
  set(CPACK_DEBIAN_${part}_PACKAGE_CONTROL_EXTRA "${_control}/shlibs" "${_control}/triggers")
endforeach()
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libfastcpp-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION "training of image classifiers in C++ (development files)
${_about}
.
This package holds the headers, the library to link, and files for CMake
and pkg-config.")
set(CPACK_DEBIAN_TOOL_PACKAGE_NAME fastcpp)
set(CPACK_DEBIAN_TOOL_PACKAGE_SECTION science)
set(CPACK_COMPONENT_TOOL_DESCRIPTION "trains, checks and ships image classifiers
Fine-tunes a network on pictures of one's own, looks at the pictures before
that, asks the trained network, serves it over HTTP and hands it to other
runtimes, without Python.")
set(CPACK_DEBIAN_TOOL_PACKAGE_RECOMMENDS "fonts-dejavu-core, ca-certificates")

# Of the development files: what fastcppConfig.cmake and the .pc files look for. LibTorch has to be the one built with.
execute_process(COMMAND dpkg-query -W -f "\${Version}" libtorch-dev OUTPUT_VARIABLE _torch ERROR_QUIET)
if(_torch MATCHES "^([0-9]+)\\.([0-9]+)\\.([0-9]+)")
  math(EXPR _next "${CMAKE_MATCH_3} + 1")
  set(_torch "libtorch-dev (>= ${CMAKE_MATCH_0}), libtorch-dev (<< ${CMAKE_MATCH_1}.${CMAKE_MATCH_2}.${_next}~)")
else()
  set(_torch "libtorch-dev")
endif()
set(_depends "${_torch}, libopencv-dev, pkg-config")
set(_recommends "cmake, g++")
if(FASTCPP_IS_STATIC)
  string(APPEND _depends ", libfmt-dev, libcurl4-openssl-dev, libarchive-dev, libssl-dev, libcairo2-dev, libfontconfig-dev,"
    " libpng-dev, zlib1g-dev, libpcre2-dev, libturbojpeg0-dev")
else()
  string(APPEND _recommends ", libfmt-dev") # for fastcpp::serve
endif()
if(TARGET fastcpp_serve)
  string(APPEND _recommends ", libcpp-httplib-dev")
endif()
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "${_depends}")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_RECOMMENDS "${_recommends}")
# The libraries of exactly this build.
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SHLIBDEPS OFF)

# What each package has in /usr/share/doc. They are not part of `cmake --install`, which lays down LICENSE.
find_program(GZIP_PROGRAM gzip)
if(FASTCPP_PACKAGE_MAINTAINER AND GZIP_PROGRAM)
  set(_files "${PROJECT_BINARY_DIR}/debian")
  file(CONFIGURE OUTPUT "${_files}/changelog" CONTENT "fastcpp (${PROJECT_VERSION}) unstable; urgency=low

  * Version ${PROJECT_VERSION}. CHANGELOG.md of the sources says what is new.

 -- ${FASTCPP_PACKAGE_MAINTAINER}  ${FASTCPP_PACKAGE_DATE}
" @ONLY)
  string(REGEX MATCH "[0-9][0-9][0-9][0-9]" FASTCPP_PACKAGE_YEAR "${FASTCPP_PACKAGE_DATE}")
  configure_file("${PROJECT_SOURCE_DIR}/cmake/copyright.in" "${_files}/copyright" @ONLY)
  execute_process(COMMAND "${GZIP_PROGRAM}" -9nf "${_files}/changelog" COMMAND_ERROR_IS_FATAL ANY)
  foreach(component ${CPACK_COMPONENTS_ALL})
    string(TOUPPER "${component}" part)
    install(FILES "${_files}/copyright" "${_files}/changelog.gz" COMPONENT ${component} EXCLUDE_FROM_ALL
      DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/${CPACK_DEBIAN_${part}_PACKAGE_NAME}")
  endforeach()
endif()
include(CPack)
