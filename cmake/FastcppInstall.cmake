# What `cmake --install` lays down, so that another project says find_package(fastcpp) and links
# fastcpp::fastcpp or fastcpp::predict.
include(CMakePackageConfigHelpers)

set(_fastcpp_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/fastcpp")

# The parts (components) are those of the packages that scripts/package makes: fastcpp and predict, the shared libraries
# that programs need to run; development; tool.
foreach(library fastcpp predict)
  set(_target fastcpp)
  if(library STREQUAL "predict")
    set(_target fastcpp_predict)
  endif()
  install(TARGETS ${_target} EXPORT fastcppTargets
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT development
    LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT ${library} NAMELINK_COMPONENT development
    RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT ${library})
endforeach()
# A file of its own: only programs that ask for it need cpp-httplib.
if(TARGET fastcpp_serve)
  install(TARGETS fastcpp_serve EXPORT fastcppServeTargets
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT development)
  install(EXPORT fastcppServeTargets NAMESPACE fastcpp:: DESTINATION "${_fastcpp_package_dir}" COMPONENT development)
endif()
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/fastcpp" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT development
  FILES_MATCHING PATTERN "*.hpp")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT license)
install(EXPORT fastcppTargets NAMESPACE fastcpp:: DESTINATION "${_fastcpp_package_dir}" COMPONENT development)

set(FASTCPP_IS_STATIC ON)
if(FASTCPP_BUILD_SHARED)
  set(FASTCPP_IS_STATIC OFF)
endif()
include(FastcppLibTorch)
fastcpp_libtorch_version(FASTCPP_LIBTORCH_VERSION)
fastcpp_libtorch_cxx11_abi(FASTCPP_LIBTORCH_CXX11_ABI)
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/fastcppConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/fastcppConfig.cmake"
  INSTALL_DESTINATION "${_fastcpp_package_dir}"
  NO_SET_AND_CHECK_MACRO)
# Until 1.0 a minor version may change the interface.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/fastcppConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
configure_file("${PROJECT_SOURCE_DIR}/cmake/FastcppLibTorch.cmake" "${PROJECT_BINARY_DIR}/FastcppLibTorch.cmake" COPYONLY)
install(FILES
  "${PROJECT_BINARY_DIR}/fastcppConfig.cmake" "${PROJECT_BINARY_DIR}/fastcppConfigVersion.cmake"
  "${PROJECT_BINARY_DIR}/FastcppLibTorch.cmake"
  DESTINATION "${_fastcpp_package_dir}" COMPONENT development)
include(FastcppPkgConfig)

# The build folder serves find_package as well (-Dfastcpp_DIR=build/release). There fastcpp_flags is a part of it: a
# sanitized build hands its sanitizers on.
export(TARGETS fastcpp fastcpp_predict fastcpp_flags NAMESPACE fastcpp:: FILE "${PROJECT_BINARY_DIR}/fastcppTargets.cmake")
if(TARGET fastcpp_serve)
  export(TARGETS fastcpp_serve NAMESPACE fastcpp:: FILE "${PROJECT_BINARY_DIR}/fastcppServeTargets.cmake")
endif()
