# What `cmake --install` lays down, so that another project says find_package(fastcpp) and links
# fastcpp::fastcpp or fastcpp::predict.
include(CMakePackageConfigHelpers)

set(_fastcpp_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/fastcpp")

install(TARGETS fastcpp fastcpp_predict EXPORT fastcppTargets
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
# A file of its own: only programs that ask for it need cpp-httplib.
if(TARGET fastcpp_serve)
  install(TARGETS fastcpp_serve EXPORT fastcppServeTargets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
  install(EXPORT fastcppServeTargets NAMESPACE fastcpp:: DESTINATION "${_fastcpp_package_dir}")
endif()
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/fastcpp" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
  FILES_MATCHING PATTERN "*.hpp")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(EXPORT fastcppTargets NAMESPACE fastcpp:: DESTINATION "${_fastcpp_package_dir}")

set(FASTCPP_IS_STATIC ON)
if(FASTCPP_BUILD_SHARED)
  set(FASTCPP_IS_STATIC OFF)
endif()
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/fastcppConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/fastcppConfig.cmake"
  INSTALL_DESTINATION "${_fastcpp_package_dir}"
  NO_SET_AND_CHECK_MACRO)
# Until 1.0 a minor version may change the interface.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/fastcppConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/fastcppConfig.cmake" "${PROJECT_BINARY_DIR}/fastcppConfigVersion.cmake"
  DESTINATION "${_fastcpp_package_dir}")
